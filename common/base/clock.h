// Time as an interface, so that tests bring their own. Thread-safe implementations only.
#pragma once

#include <cstdint>
#include <string>

namespace hm {

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual int64_t steady_us() const = 0;  // monotonic microseconds, arbitrary zero
  [[nodiscard]] virtual int64_t wall_us() const = 0;    // microseconds since the Unix epoch, UTC
};

[[nodiscard]] const Clock& system_clock();

// Stands still until it is told otherwise.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(int64_t wall_us = 1'800'000'000'000'000) : wall_us_(wall_us) {}
  [[nodiscard]] int64_t steady_us() const override { return steady_us_; }
  [[nodiscard]] int64_t wall_us() const override { return wall_us_; }
  void advance_us(int64_t us) {
    steady_us_ += us;
    wall_us_ += us;
  }
  void set_wall_us(int64_t us) { wall_us_ = us; }  // as NTP does

 private:
  int64_t steady_us_ = 1'000'000;
  int64_t wall_us_;
};

// "2026-11-15T09:30:00.123456Z"
[[nodiscard]] std::string iso8601_utc(int64_t wall_us);

}  // namespace hm
