#include "cli/run_summary.h"

#include "cli/money.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

std::string calls(int64_t count) {
  return thousands(count) + (count == 1 ? " call" : " calls");
}

}  // namespace

std::string summary_text(const store::Totals& totals, int64_t not_metered) {
  std::string out = calls(totals.requests);
  if (totals.requests > 0) {
    const int64_t cached = totals.cache_read_tokens;
    out +=
        ", " + thousands(totals.input_tokens + cached + totals.cache_write_tokens) + " tokens in";
    if (cached > 0) out += " (" + thousands(cached) + " cached)";
    out += ", " + thousands(totals.output_tokens) + " out, ";
    // Calls on a subscription cost nothing extra; their list price is told apart.
    const bool only_shadow = totals.subscription > 0 && totals.cost.zero() && totals.unpriced == 0;
    if (!only_shadow) out += dollars_at_least(totals.cost, totals.unpriced > 0);
    if (totals.subscription > 0)
      out += std::string(only_shadow ? "" : ", ") + "worth " + dollars(totals.shadow_cost) +
             " on a subscription";
    if (totals.unpriced > 0) out += "; " + calls(totals.unpriced) + " without a price";
    if (totals.incomplete > 0) out += "; " + calls(totals.incomplete) + " with incomplete tokens";
    if (totals.errors > 0) out += "; " + calls(totals.errors) + " failed";
  }
  if (not_metered > 0) out += "; " + calls(not_metered) + " not metered";
  return out;
}

std::optional<std::string> run_summary(const Context& context, const std::string& run_id,
                                       int64_t since_us, int64_t waiting_misses) {
  int64_t not_metered = waiting_misses;
  store::Totals totals;
  auto queries = store::Queries::open(context.home.database());
  if (queries) {
    store::Filter filter;
    filter.run_id = run_id;
    const auto sums = queries->totals(filter);
    if (!sums) return std::nullopt;
    totals = *sums;
    filter = {};
    filter.since_us = since_us;
    if (const auto misses = queries->misses(filter)) {
      for (const store::MissCount& miss : *misses) not_metered += miss.count;
    }
  } else if (queries.error().code != Code::not_found) {
    return std::nullopt;
  }
  return summary_text(totals, not_metered);
}

}  // namespace hm::cli
