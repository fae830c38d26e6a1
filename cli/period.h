// What --since, --from and --to mean. Dates are days of the local time zone (TZ); instants are wall
// microseconds.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace hm::cli {

struct Period {
  int64_t from_us = 0;  // included
  int64_t to_us = 0;    // excluded
};

// "7d", "2h", "5m", "30s", "3w", a bare number of days. Nothing else, and no more than a century.
[[nodiscard]] std::optional<int64_t> parse_duration_us(std::string_view text);

// "2026-11-23", "2026-11-23T09:30[:15]" local, or with a final Z in UTC.
[[nodiscard]] std::optional<int64_t> parse_instant_us(std::string_view text);

struct PeriodFlags {
  std::optional<std::string> since;
  std::optional<std::string> from;
  std::optional<std::string> to;
  bool today = false;
};

// Default: the last 30 days. A bare date in `to` includes that day. The error is a sentence for the
// user.
[[nodiscard]] std::expected<Period, std::string> period_of(const PeriodFlags& flags,
                                                           int64_t now_us);

[[nodiscard]] std::string local_time(int64_t wall_us);           // "2026-11-23 09:30"
[[nodiscard]] std::string ago(int64_t then_us, int64_t now_us);  // "5 s ago", "3 h ago"

}  // namespace hm::cli
