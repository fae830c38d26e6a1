// What one call costs. Pure: no clock, no I/O, any thread. Money in pico-USD; every product is made
// in 128 bits and a total that does not fit 64 is unpriced rather than wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "interceptor/call_record.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::pricing {

enum class PriceState : uint8_t {
  priced,    // also an exact zero: errors and counting calls cost nothing
  no_usage,  // nothing to price: the answer carried no usage. Not unpriced, and not 0
  unpriced,  // there is usage and no rate for all of it; `reason` says why
};

struct PriceLine {
  std::string model;   // the card's entry
  std::string bucket;  // input, cache_read, ..., or the name of a per-call charge, or discount
  bool per_call = false;
  int64_t count = 0;          // tokens or calls
  int64_t rate_pico_usd = 0;  // per token or call, multipliers applied
  int64_t amount_pico_usd = 0;
  int64_t list_rate_pico_usd = 0;  // before the multiplier; 0 for a discount
  std::string multiplier;          // "1.1", of a discount its fraction "9/10"; empty = none
};

struct PriceResult {
  PriceState state = PriceState::unpriced;
  // unknown_model, no_model, unknown_tier, tier_not_offered, long_context_not_offered, unknown_geo,
  // unknown_bucket, missing_bucket, parts_do_not_fit, unknown_cache_lifetime, unknown_tool,
  // unit_not_in_usage, no_period, malformed_usage, overflow, or the record's own bucket_doubt.
  std::string reason;

  // By our card: the sum of the lines. Only when state is priced (and the flags do not hold
  // provider_cost_only: then only the provider knows).
  int64_t pico_usd = 0;
  std::vector<PriceLine> lines;

  // What goes into the books. cost: spend; the provider's own figure when it sent one, else ours.
  // shadow: the same for subscription surfaces and for keys that pay nothing, where cost stays
  // empty. At most one of the two is set.
  std::optional<int64_t> cost_pico_usd;
  std::optional<int64_t> shadow_cost_pico_usd;
  std::string rates_source;  // bundled-YYYY-MM-DD, override, provider; empty when neither is set

  // Stamp: without it a past figure cannot be explained.
  std::string card_id;
  std::string entry;        // model of the card
  std::string period_from;  // YYYY-MM-DD, empty = since the model exists
  std::string tier;         // of the card: standard, batch, fast, ...
  bool long_context = false;
  std::string geo;  // multiplier used: us, regional; empty = none
  // The figure is ours and right by the list, but the bill may differ (prepaid tier, list price
  // that lapsed, charge per container): prepaid_tier, stale_rate, not_covered, search_tokens,
  // extra_usage_tier, fallback_credit, provider_cost_differs, provider_cost_only, free_tier_key,
  // unknown_usage_field.
  std::vector<std::string> flags;
};

[[nodiscard]] PriceResult price(const RateCard& card, const CallRecord& record);

}  // namespace hm::pricing
