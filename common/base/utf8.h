// Text that everybody can read. Providers and clients can send any bytes where a name should be;
// SQLite would keep them, and then every reader that takes text for UTF-8 (Python's sqlite3 among
// them) fails on the row; JSON must not hold them at all. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace hm {

// Length of the well-formed sequence (Unicode 15, table 3-7; RFC 3629) that the text begins with, 0
// when there is none. The text must not be empty.
[[nodiscard]] size_t utf8_sequence_length(std::string_view text);

// Well-formed UTF-8 without NUL, which ends a text for half of the readers.
[[nodiscard]] bool is_clean_text(std::string_view text);

// Every byte that breaks the rule becomes U+FFFD; clean text stays as it is.
[[nodiscard]] std::string clean_text(std::string_view text);

}  // namespace hm
