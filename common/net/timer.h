// A deadline or a pulse. Destroying it stops it; destroying it inside its own callback is allowed.
// A deadline that passed while the process stood still is told a tenth of a second later, so that
// what came in time is read first.
#pragma once

#include <cstdint>
#include <functional>

namespace hm::net {

class Loop;

class Timer {
 public:
  Timer(Loop& loop, std::function<void()> callback);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start_once(int64_t milliseconds);  // restarts when it already runs
  void start_repeating(int64_t milliseconds);
  void stop();
  [[nodiscard]] bool running() const;

 private:
  struct State;
  State* state_;
};

}  // namespace hm::net
