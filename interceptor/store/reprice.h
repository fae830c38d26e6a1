// Prices stored calls again with the rates of today's card. A second writer beside a running one:
// many short transactions with pauses between them, so that the live writer is never kept waiting
// longer than it is prepared to. Works with everything stopped, too. The figure that is replaced is
// kept, whole, in request_price_history. Blocks (disk); any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "interceptor/pricing/pico_usd.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::store {

struct RepriceOptions {
  std::filesystem::path database;
  std::optional<int64_t> since_us;  // wall; empty: every call
  bool dry_run = false;             // looks only
  bool without_price_only = false;  // calls that have a price are left alone
  int64_t rows_at_once = 32;        // of one transaction
  std::chrono::milliseconds busy_timeout{250};
  std::chrono::milliseconds patience{30'000};  // for a database that stays locked
};

// Calls of one model whose price moved.
struct RepricedModel {
  std::string provider;
  std::string model;
  int64_t calls = 0;
  int64_t newly_priced = 0;
  int64_t newly_unpriced = 0;
  pricing::PicoUsd cost_before, cost_after;
  pricing::PicoUsd shadow_before, shadow_after;
};

struct RepriceOutcome {
  int64_t looked_at = 0;
  int64_t moved = 0;
  std::vector<RepricedModel> models;  // those that had no price first, then by what moved most
};

// not_found: no database. malformed: not ours. refused: written by a newer version. busy: it stayed
// locked; what was done before stays done.
[[nodiscard]] Result<RepriceOutcome> reprice(const RepriceOptions& options,
                                             const pricing::RateCard& card, const Clock& clock);

}  // namespace hm::store
