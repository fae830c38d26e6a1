// One value of a target's query (RFC 3986 3.4), percent-decoded.
#pragma once

#include <string>
#include <string_view>

namespace hm::meter {

// Empty when there is none. `name` as it is written, without escapes.
[[nodiscard]] std::string query_value(std::string_view target, std::string_view name);

}  // namespace hm::meter
