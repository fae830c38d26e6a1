// Small JSON texts without a parser: string escapes and bare strings (RFC 8259 7).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace hm::meter {

// The inside of a JSON string, escapes undone to UTF-8. Nothing when an escape is broken; a lone
// surrogate becomes U+FFFD.
[[nodiscard]] std::optional<std::string> unescape(std::string_view inside);

// The text of a JSON string with its quotes; nothing when `json` is not a string.
[[nodiscard]] std::optional<std::string> string_of(std::string_view json);

}  // namespace hm::meter
