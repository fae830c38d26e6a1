// Text as it may stand in the database. Providers and clients can send any bytes where a name
// should be; SQLite would keep them, and then every reader that takes text for UTF-8 (Python's
// sqlite3 among them) fails on the row. Pure.
#pragma once

#include <string>
#include <string_view>

namespace hm::store {

// Well-formed UTF-8 (Unicode 15, table 3-7) without NUL.
[[nodiscard]] bool is_clean_text(std::string_view text);

// Every byte that breaks the rule becomes U+FFFD; clean text stays as it is.
[[nodiscard]] std::string clean_text(std::string_view text);

}  // namespace hm::store
