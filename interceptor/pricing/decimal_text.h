// Decimal figures as cards and rates.toml write them, into integers. No floating point.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "interceptor/pricing/rate_card.h"

namespace hm::pricing {

// "0.0375" with 6 decimals is 37500. Null: not a plain decimal, or finer than that.
[[nodiscard]] std::optional<int64_t> scaled(std::string_view text, int decimals);

// "1.1" is 11/10, "9/10" is itself.
[[nodiscard]] std::optional<Rational> rational(std::string_view text);

}  // namespace hm::pricing
