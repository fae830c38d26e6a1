// A stored call with the price it has and those it had. Plain data.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "interceptor/call_record.h"
#include "interceptor/pricing/price.h"

namespace hm::store {

struct StoredCall {
  // Everything that price() looks at, and what names the call. The rest is left empty.
  CallRecord record;
  std::string project;
  // As stored, with state, lines and flags; pico_usd is the sum of the lines.
  pricing::PriceResult price;
};

struct PastPrice {
  int64_t replaced_at_us = 0;
  pricing::PriceResult price;
};

struct ExplainedCall {
  StoredCall call;
  std::vector<PastPrice> past;  // oldest first
};

// How the calls of a period got their prices.
struct PriceNotes {
  std::map<std::string, int64_t> flags;  // stale_rate, provider_cost_differs, ...: calls
  int64_t repriced = 0;                  // calls whose first price was replaced
};

}  // namespace hm::store
