// Project slugs: lower case letters, digits and - _ : /, at most 100 bytes, with at least one
// letter or digit. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hm::attribution {

// What somebody wrote on purpose: blanks around it go, capitals become small, anything else that is
// not a slug is refused.
[[nodiscard]] std::optional<std::string> parse_slug(std::string_view text);

// What a folder is called: each run of other characters becomes one hyphen. Empty when nothing is
// left.
[[nodiscard]] std::optional<std::string> slug_from_name(std::string_view name);

}  // namespace hm::attribution
