// A one-second pulse of the relay loop: measures how late it comes (the loop's lag), keeps the
// heartbeat that /health and systemd's watchdog look at, and logs daemon.heartbeat once a minute.
// Relay-loop thread; last_heartbeat_us() from any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/clock.h"
#include "common/net/timer.h"

namespace hm::relay {

class LoopMonitor {
 public:
  LoopMonitor(net::Loop& loop, const Clock& clock);

  void start();
  [[nodiscard]] int64_t last_heartbeat_us() const { return last_heartbeat_us_.load(); }  // steady
  [[nodiscard]] int64_t worst_lag_us() const { return worst_lag_us_.load(); }  // of the last minute

 private:
  void pulse();

  static constexpr int64_t kPulseMs = 1000;

  const Clock& clock_;
  net::Timer timer_;
  std::atomic<int64_t> last_heartbeat_us_;
  std::atomic<int64_t> worst_lag_us_{0};
  int64_t worst_this_minute_us_ = 0;
  int pulses_ = 0;
};

}  // namespace hm::relay
