// What `report`, `export` and `projects` have in common: which calls are meant, and what is said
// when they cannot be read.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "cli/context.h"
#include "cli/flags.h"
#include "cli/report.h"
#include "common/base/result.h"

namespace hm::cli {

inline constexpr FlagSpec kSinceFlag = {
    "since", "WHEN", "7d, 2h, 5m, a number of days, or a date (default: 30 days)"};
inline constexpr FlagSpec kFromFlag = {"from", "WHEN", "begin of the period: as for --since"};
inline constexpr FlagSpec kToFlag = {"to", "WHEN",
                                     "end of the period: the same; a day is included"};
inline constexpr FlagSpec kTodayFlag = {"today", "", "since midnight"};
inline constexpr FlagSpec kProjectFlag = {"project", "SLUG", "calls of this project only"};
inline constexpr FlagSpec kRunFlag = {"run", "ID", "calls of one halton-meter run only"};

// Of the flags above, those that the command has. The error is a sentence for the user.
[[nodiscard]] std::expected<ReportWish, std::string> wish_of(const Flags& flags, int64_t now_us);
// A slug as it is stored, from what was typed. The error is a sentence for the user.
[[nodiscard]] std::expected<std::string, std::string> slug_of(const Flags& flags);

// Says what is wrong with the database, and returns the exit code. Not for not_found, which is no
// failure: nothing has been metered yet.
[[nodiscard]] int cannot_read(const Context& context, std::string_view command, const Error& error);

}  // namespace hm::cli
