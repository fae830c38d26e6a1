#include "cli/period.h"

#include <charconv>
#include <cstdio>
#include <ctime>

namespace hm::cli {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int64_t kCentury = 36'525 * kDay;

bool two_digits(std::string_view text, size_t at, int low, int high, int& out) {
  if (at + 2 > text.size()) return false;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 2, out);
  return error == std::errc() && end == text.data() + at + 2 && out >= low && out <= high;
}

struct Stamp {
  std::tm parts{};
  bool date_only = true;
  bool utc = false;
};

std::optional<Stamp> parse_stamp(std::string_view text) {
  Stamp stamp;
  int year = 0;
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 4, year);
  if (error != std::errc() || end != text.data() + 4 || year < 1970) return std::nullopt;
  int month = 0;
  if (!two_digits(text, 5, 1, 12, month) || !two_digits(text, 8, 1, 31, stamp.parts.tm_mday))
    return std::nullopt;
  stamp.parts.tm_year = year - 1900;
  stamp.parts.tm_mon = month - 1;
  stamp.parts.tm_isdst = -1;
  text.remove_prefix(10);
  if (text.empty()) return stamp;

  stamp.date_only = false;
  if (text.back() == 'Z') {
    stamp.utc = true;
    text.remove_suffix(1);
  }
  const bool has_seconds = text.size() == 9 && text[6] == ':';
  if ((text.size() != 6 && !has_seconds) || (text[0] != 'T' && text[0] != ' ') || text[3] != ':')
    return std::nullopt;
  if (!two_digits(text, 1, 0, 23, stamp.parts.tm_hour) ||
      !two_digits(text, 4, 0, 59, stamp.parts.tm_min))
    return std::nullopt;
  if (has_seconds && !two_digits(text, 7, 0, 59, stamp.parts.tm_sec)) return std::nullopt;
  return stamp;
}

std::optional<int64_t> instant_of(const Stamp& stamp) {
  std::tm parts = stamp.parts;
  const std::time_t seconds = stamp.utc ? ::timegm(&parts) : std::mktime(&parts);
  // The 31st of a short month comes back as another day: there is no such date.
  if (parts.tm_mday != stamp.parts.tm_mday) return std::nullopt;
  return static_cast<int64_t>(seconds) * kSecond;
}

// A duration is that long ago.
std::optional<int64_t> moment_us(std::string_view text, int64_t now_us) {
  if (const auto length = parse_duration_us(text)) return now_us - *length;
  return parse_instant_us(text);
}

std::string not_a_time(std::string_view flag, const std::string& text) {
  return std::string(flag) + " does not understand '" + text +
         "': give a duration like 7d, 2h or 5m, a number of days, or a date from 1970 on like "
         "2026-11-23";
}

}  // namespace

std::optional<int64_t> parse_duration_us(std::string_view text) {
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count < 0) return std::nullopt;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  int64_t scale = 0;
  if (unit.empty() || unit == "d") {
    scale = kDay;
  } else if (unit == "w") {
    scale = 7 * kDay;
  } else if (unit == "h") {
    scale = 3600 * kSecond;
  } else if (unit == "m") {
    scale = 60 * kSecond;
  } else if (unit == "s") {
    scale = kSecond;
  } else {
    return std::nullopt;
  }
  if (count > kCentury / scale) return std::nullopt;
  return count * scale;
}

std::optional<int64_t> parse_instant_us(std::string_view text) {
  const auto stamp = parse_stamp(text);
  return stamp ? instant_of(*stamp) : std::nullopt;
}

std::expected<Period, std::string> period_of(const PeriodFlags& flags, int64_t now_us) {
  if (flags.since && (flags.from || flags.to))
    return std::unexpected("--since cannot be combined with --from and --to");
  if (flags.today && (flags.since || flags.from || flags.to))
    return std::unexpected("--today cannot be combined with --since, --from and --to");

  Period period{now_us - 30 * kDay, now_us};
  if (flags.today) {
    const std::string day = local_time(now_us).substr(0, 10);
    period.from_us = parse_instant_us(day).value_or(now_us - kDay);
  }
  if (flags.since) {
    const auto instant = moment_us(*flags.since, now_us);
    if (!instant) return std::unexpected(not_a_time("--since", *flags.since));
    period.from_us = *instant;
  }
  if (flags.from) {
    const auto instant = moment_us(*flags.from, now_us);
    if (!instant) return std::unexpected(not_a_time("--from", *flags.from));
    period.from_us = *instant;
  }
  if (flags.to) {
    const auto stamp = parse_stamp(*flags.to);
    const auto instant = moment_us(*flags.to, now_us);
    if (!instant) return std::unexpected(not_a_time("--to", *flags.to));
    period.to_us = *instant;
    if (stamp &&
        stamp->date_only) {  // through the end of that day, also where a day has 23 or 25 hours
      Stamp next = *stamp;
      next.parts.tm_mday += 1;
      std::tm parts = next.parts;
      period.to_us = static_cast<int64_t>(std::mktime(&parts)) * kSecond;
    }
    if (!flags.from) period.from_us = period.to_us - 30 * kDay;
  }
  if (period.from_us > now_us && !flags.to)
    return std::unexpected(std::string(flags.from ? "--from " : "--since ") +
                           (flags.from ? *flags.from : flags.since.value_or("")) +
                           " lies in the future");
  if (period.from_us > period.to_us) return std::unexpected("the period ends before it begins");
  return period;
}

std::string local_time(int64_t wall_us) {
  const auto seconds = static_cast<std::time_t>(wall_us / kSecond);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char buffer[32];
  const size_t length = std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M", &parts);
  return {buffer, length};
}

std::string ago(int64_t then_us, int64_t now_us) {
  const int64_t seconds = now_us > then_us ? (now_us - then_us) / kSecond : 0;
  if (seconds < 120) return std::to_string(seconds) + " s ago";
  if (seconds < 2 * 3600) return std::to_string(seconds / 60) + " min ago";
  if (seconds < 2 * 86'400) return std::to_string(seconds / 3600) + " h ago";
  return std::to_string(seconds / 86'400) + " days ago";
}

}  // namespace hm::cli
