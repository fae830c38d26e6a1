// The text of the bundled card, rates/rates-*.json, made part of the library at build time.
#pragma once

#include <string_view>

namespace hm::pricing {

[[nodiscard]] std::string_view bundled_rates_json();

}  // namespace hm::pricing
