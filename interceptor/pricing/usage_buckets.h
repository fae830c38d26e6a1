// Usage, cut into what the rate card has prices for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "interceptor/call_record.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::pricing {

struct Bucket {
  std::string_view name;  // a constant
  int64_t tokens = 0;     // above zero
};

struct Buckets {
  std::vector<Bucket> list;
  const char* fault = nullptr;  // a reason word of PriceResult; the list is then worthless
};

// No figure is negative and no part either; their sums fit 64 bits.
[[nodiscard]] bool is_sane(const Usage& usage);
[[nodiscard]] bool is_zero(const Usage& usage);

// Parts are separated where the rate set in force has a rate for them, else they stay in their
// figure. `cache_lifetime` as requested ("30m", "12h", empty): OpenAI's answer has one number for
// both.
[[nodiscard]] Buckets split(const Usage& usage, const RateSet& rates,
                            const std::string& cache_lifetime);

}  // namespace hm::pricing
