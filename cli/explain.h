// Where a stored cost comes from, line by line, in the notation of docs/pricing.md. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "interceptor/pricing/price.h"
#include "interceptor/store/stored_price.h"

namespace hm::cli {

// "input: 25 x 8 per M x 1.1 = 220,000,000 pico-USD". `own_model`: lines of another one name it.
[[nodiscard]] std::string price_line(const pricing::PriceLine& line, std::string_view own_model);

// "12,207,000,000 pico-USD = 12,207,000 nano-USD exactly = 12207 micro-USD"
[[nodiscard]] std::string exact_amount(int64_t pico_usd);

// One sentence about a word of PriceResult::reason or ::flags; the word itself when it is unknown.
[[nodiscard]] std::string about_reason(std::string_view reason);
[[nodiscard]] std::string about_flag(std::string_view flag);

[[nodiscard]] std::string explanation(const store::ExplainedCall& explained,
                                      const std::vector<std::string>& nearest_ids);
[[nodiscard]] std::string explanation_json(const store::ExplainedCall& explained,
                                           const std::vector<std::string>& nearest_ids);

}  // namespace hm::cli
