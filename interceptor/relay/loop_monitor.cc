#include "interceptor/relay/loop_monitor.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/base/notify.h"

namespace hm::relay {

LoopMonitor::LoopMonitor(net::Loop& loop, const Clock& clock)
    : clock_(clock), timer_(loop, [this] { pulse(); }), last_heartbeat_us_(clock.steady_us()) {}

void LoopMonitor::start() {
  last_heartbeat_us_ = clock_.steady_us();
  timer_.start_repeating(kPulseMs);
}

void LoopMonitor::pulse() {
  const int64_t now = clock_.steady_us();
  const int64_t lag = std::max<int64_t>(0, now - last_heartbeat_us_.load() - kPulseMs * 1000);
  worst_this_minute_us_ = std::max(worst_this_minute_us_, lag);
  last_heartbeat_us_ = now;
  if (notify::watchdog_us() > 0) notify::send("WATCHDOG=1");
  if (++pulses_ == 60) {
    log::info("daemon.heartbeat").with("loop_lag_us", worst_this_minute_us_);
    pulses_ = 0;
    worst_lag_us_ = std::exchange(worst_this_minute_us_, 0);
  } else {
    worst_lag_us_ = std::max(worst_lag_us_.load(), worst_this_minute_us_);
  }
}

}  // namespace hm::relay
