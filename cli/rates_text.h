// The rate card as text and JSON. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/table.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::cli {

// Pico-USD per token as USD per million tokens, exact: 37'500 is "0.0375".
[[nodiscard]] std::string per_million(int64_t pico_usd);

// "Rate card of 2026-11-23, evidence until ...", and a notice when it is older than 45 days.
[[nodiscard]] std::string card_line(const pricing::RateCard& card, pricing::Day today);

// Entries with their standard rates of `today`; an empty provider takes all.
[[nodiscard]] std::string rates_list(const pricing::RateCard& card, std::string_view provider,
                                     pricing::Day today, const TableStyle& style);
[[nodiscard]] std::string rates_list_json(const pricing::RateCard& card, std::string_view provider,
                                          pricing::Day today);

[[nodiscard]] std::string entry_text(const pricing::ModelEntry& entry);
[[nodiscard]] std::string entry_json(const pricing::RateCard& card,
                                     const pricing::ModelEntry& entry, pricing::Day today);

}  // namespace hm::cli
