#include "common/base/clock.h"

#include <fmt/format.h>

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

std::string iso8601_utc(int64_t wall_us) {
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

}  // namespace hm
