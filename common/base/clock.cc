#include "common/base/clock.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

namespace hm {
namespace {

int64_t read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

class SystemClock final : public Clock {
 public:
  [[nodiscard]] int64_t steady_us() const override { return read_clock(CLOCK_MONOTONIC); }
  [[nodiscard]] int64_t wall_us() const override { return read_clock(CLOCK_REALTIME); }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

namespace {

// Any time there is.
std::string iso8601_by_library(int64_t wall_us) {
  int64_t seconds = wall_us / 1'000'000;
  int64_t micros = wall_us % 1'000'000;
  if (micros < 0) {
    micros += 1'000'000;
    --seconds;
  }
  const time_t when = static_cast<time_t>(seconds);
  tm parts{};
  gmtime_r(&when, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     micros);
}

}  // namespace

// Every row of the database has one: digit by digit it takes an eighth of the time.
std::string iso8601_utc(int64_t wall_us) {
  constexpr int64_t kDay = int64_t{86'400} * 1'000'000;
  constexpr int64_t kLastDay = 2'932'896;  // 9999-12-31
  if (wall_us < 0 || wall_us / kDay > kLastDay) return iso8601_by_library(wall_us);
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(wall_us / kDay)}}};
  const auto micros = static_cast<uint64_t>(wall_us % kDay);
  const uint64_t seconds = micros / 1'000'000;
  std::string text = "0000-00-00T00:00:00.000000Z";
  const auto put = [&](size_t end, uint64_t value) {  // its last digit stands before `end`
    for (; value > 0; value /= 10) text[--end] = static_cast<char>('0' + value % 10);
  };
  put(4, static_cast<uint64_t>(static_cast<int>(date.year())));
  put(7, static_cast<unsigned>(date.month()));
  put(10, static_cast<unsigned>(date.day()));
  put(13, seconds / 3600);
  put(16, seconds / 60 % 60);
  put(19, seconds % 60);
  put(26, micros % 1'000'000);
  return text;
}

}  // namespace hm
