// The rate card as text and JSON. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/json_text.h"
#include "cli/table.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::cli {

// Pico-USD per token as USD per million tokens, exact: 37'500 is "0.0375".
[[nodiscard]] std::string per_million(int64_t pico_usd);

// Pico-USD per call as USD per 1,000 calls, exact: "2.5".
[[nodiscard]] std::string per_thousand_calls(int64_t pico_usd);

// "Rate card of 2026-11-23, evidence until ...", and a notice when it is older than 45 days.
[[nodiscard]] std::string card_line(const pricing::RateCard& card, pricing::Day today);

// The same as members of the object that is open.
void card_members(JsonText& json, const pricing::RateCard& card, pricing::Day today);

// Entries with their standard rates of `today`; an empty provider takes all.
[[nodiscard]] std::string rates_list(const pricing::RateCard& card, std::string_view provider,
                                     pricing::Day today, const TableStyle& style);
[[nodiscard]] std::string rates_list_json(const pricing::RateCard& card, std::string_view provider,
                                          pricing::Day today);

// Rates of `fresh` that a person should look at before it is used: more than four times, or less
// than a quarter of, what `known` has for the day; models that are gone. One per line; may be
// empty.
[[nodiscard]] std::string changes_to_confirm(const pricing::RateCard& known,
                                             const pricing::RateCard& fresh, pricing::Day today);

[[nodiscard]] std::string entry_text(const pricing::ModelEntry& entry, pricing::Day today);
[[nodiscard]] std::string entry_json(const pricing::RateCard& card,
                                     const pricing::ModelEntry& entry, pricing::Day today);

}  // namespace hm::cli
