// Small text helpers of the command line. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hm::cli {

[[nodiscard]] std::string thousands(int64_t value);  // 1,234,567
[[nodiscard]] std::string per_mille_text(
    std::optional<int64_t> share);  // 975: "97.5 %"; "-" when absent
[[nodiscard]] std::string milliseconds(
    std::optional<int64_t> value);  // "1,234 ms"; "-" when absent

// Names come from the network: control characters become '?' so that none reaches a terminal.
[[nodiscard]] std::string printable(std::string_view text);
[[nodiscard]] size_t display_width(std::string_view utf8);           // code points
[[nodiscard]] std::string fit(std::string_view utf8, size_t width);  // cut with "..." at the end

// Lines of at most that width, at least one: broken at spaces, else behind a slash, else anywhere.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view utf8, size_t width);

// RFC 4180, 2: quoted when it holds a comma, a quote or a line end. A field that a spreadsheet
// would take for a formula gets a leading apostrophe.
[[nodiscard]] std::string csv_field(std::string_view text);

// Insertions, deletions, substitutions and swaps of neighbours between two short words.
[[nodiscard]] size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace hm::cli
