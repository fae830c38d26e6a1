// Keeps asking the interceptor whether it would meter a call, and tells the gate. Every second
// while the gate is open, every 200 ms while it is closed; in the first two seconds of the edge's
// life much more often, so that a pair that was just started meters its first call. While the gate
// is closed the ports file is read again beside each knock (on the pool, which a slow DNS may keep
// busy): the interceptor may have moved.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/ask/ask.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/net/process_watch.h"
#include "common/net/timer.h"
#include "common/net/work.h"
#include "edge/health_gate.h"

namespace hm::edge {

class Knocker {
 public:
  Knocker(net::Loop& loop, const net::DialOptions& options, const config::Edge& limits,
          std::filesystem::path ports_file, HealthGate& gate, const Clock& clock,
          net::ProcessWatch& watch, std::function<void()> on_gate_closed);

  void start(uint16_t port, uint16_t api_port, uint16_t edge_port);
  void stop();
  [[nodiscard]] uint16_t port() const { return port_; }  // where calls go
  [[nodiscard]] uint16_t api_port() const { return api_port_; }
  [[nodiscard]] int64_t process() const { return process_; }  // who answered last; 0: unknown

  // The gate changed by something else than a knock: knock in its new rhythm.
  void gate_changed();
  // An interceptor accepts at this port from now on.
  void on_arrival(int64_t port);
  // Something looks wrong: knock now.
  void hurry() { timer_.start_once(0); }
  // This process has ended: when it is the one that answers, and no successor can be known to be
  // there, the gate closes before a call finds out.
  void on_process_end(int64_t process);
  // The interceptor drains on purpose (it told our control socket, or said 503): it finishes the
  // calls it has. Until the next good knock.
  void on_leaving(int64_t process);  // 0: whoever answers
  [[nodiscard]] bool interceptor_leaving() const { return leaving_; }
  [[nodiscard]] int64_t gate_since_us() const { return gate_since_us_; }  // wall

 private:
  void schedule();
  void knock();
  void move_to(uint16_t port);
  void read_ports();
  void on_answer(const AskResult& result);

  const config::Edge& limits_;
  std::filesystem::path ports_file_;
  HealthGate& gate_;
  net::ProcessWatch& watch_;
  const Clock& clock_;
  std::function<void()> on_gate_closed_;
  Ask ask_;
  net::Timer timer_;
  net::Work reread_;
  uint16_t port_ = 0;
  uint16_t api_port_ = 0;
  uint16_t edge_port_ = 0;  // ours: whoever answers may not dial it
  int64_t process_ = 0;
  bool leaving_ = false;
  int64_t started_us_ = 0;
  int64_t gate_since_us_ = 0;
};

}  // namespace hm::edge
