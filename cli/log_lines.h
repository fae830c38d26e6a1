// Reading our own logs: one event, one JSON line, rotated as name, name.1, name.2. Blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace hm::cli {

// The text of a top-level field, unescaped; a number as it stands; empty: not there. Our own
// writer's lines only.
[[nodiscard]] std::string log_field(std::string_view line, std::string_view name);

// The last lines of one file, the oldest first; reads at most 1 MiB.
[[nodiscard]] std::vector<std::string> last_log_lines(const std::filesystem::path& log,
                                                      size_t count);

// name.2, name.1, name: those that are there.
[[nodiscard]] std::vector<std::filesystem::path> rotated_files(const std::filesystem::path& log);

}  // namespace hm::cli
