// May calls be handed to the interceptor? Open or closed, by consecutive knocks and by what happens
// to real asks. Pure: no clock, no socket.
//
// Asymmetric on purpose: one failed ask or one refused knock closes at once (the next call must not
// pay for it), three silent knocks close, two good knocks in a row open, a 503 does neither. Before
// it was open for the first time one good knock is enough: nothing is known against the interceptor
// yet.
#pragma once

#include <cstdint>

namespace hm::edge {

enum class Knock : uint8_t {
  good,     // answered 200: a call would be metered
  full,     // answered 503: alive, and not metering now
  silent,   // no answer in time
  refused,  // nobody listens, or no sense in what it says
};

class HealthGate {
 public:
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] bool ever_open() const { return ever_open_; }
  // Before the first verdict a call asks for itself: an edge that was just restarted must not send
  // the calls that waited for it past the meter.
  [[nodiscard]] bool undecided() const { return !decided_; }

  // True when the state changed.
  bool on_knock(Knock knock);
  bool on_ask_failed();  // refused or silent; a 503 is not a failure

 private:
  static constexpr int kGoodToOpen = 2;
  static constexpr int kSilentToClose = 3;

  bool set(bool open);

  bool open_ = false;
  bool ever_open_ = false;
  bool decided_ = false;
  int good_ = 0;
  int silent_ = 0;
};

}  // namespace hm::edge
