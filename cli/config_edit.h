// Changes to config.toml that leave the user's text alone. Pure. What comes out is to be parsed
// before it is written: a text may hold [upstream] in forms that are not understood here (dotted
// keys, inline tables).
#pragma once

#include <string>
#include <string_view>

namespace hm::cli {

// The text with `key = value` in its [upstream] table: in place of the line that is there, or as a
// new one; the table is made when there is none. `value` is TOML.
[[nodiscard]] std::string with_upstream(std::string_view toml, std::string_view key,
                                        std::string_view value);
[[nodiscard]] bool has_upstream(std::string_view toml, std::string_view key);

[[nodiscard]] std::string toml_string(std::string_view text);
[[nodiscard]] std::string toml_list(std::string_view comma_separated);

}  // namespace hm::cli
