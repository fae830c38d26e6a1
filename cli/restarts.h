// How often a service was started again lately. systemd counts since the unit was last started by
// hand, which may be weeks ago: its number alone tells no loop from a crash now and then.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/clock.h"

namespace hm::cli {

inline constexpr int64_t kLatelyUs = int64_t{3'600} * 1'000'000;

struct Restarts {
  int64_t all = 0;            // by systemd itself, since the last start by hand
  int64_t active_for_us = 0;  // since the last of them; negative: not known
  int64_t logged = 0;         // starts of that process in its log, lately; by hand, too
};

// Those of the last hour. A log that knows not even the last of them (a full disk, an end before
// the first line) is not believed: then all of them count. Pure.
[[nodiscard]] int64_t restarts_lately(const Restarts& restarts);

// `process` is edge or daemon; rotated files are read, too. Blocks.
[[nodiscard]] int64_t starts_in_log(const std::filesystem::path& log, std::string_view process,
                                    int64_t since_wall_us);

}  // namespace hm::cli
