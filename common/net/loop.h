// The one event loop of a thread. Everything in common/net belongs to the loop it was given and is
// touched on that loop's thread only; post() is the exception.
//
// Nobody dies inside their own callback: an owner that wants to drop an object from below that
// object's callback gives it to bury(), and the loop deletes it once the callback stack is empty.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

struct uv_loop_s;  // NOLINT(readability-identifier-naming): libuv's name

namespace hm::net {

class Loop {
 public:
  Loop();  // ignores SIGPIPE for the process: libuv does not
  // Closes what is left and runs the loop until every close callback has been called.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void run();   // until stop(), or nothing is left to wait for
  void stop();  // run() returns after the current turn; loop thread only

  // Any thread. Runs the function on the loop thread. Posts after ~Loop began are dropped.
  void post(std::function<void()> task);

  template <class T>
  void bury(std::unique_ptr<T> object) {
    bury_erased(object.release(), [](void* raw) { delete static_cast<T*>(raw); });
  }

  // Now, not at the end of the turn. For whoever owns the loop, after run(): what lies there may
  // need things that end before the loop does.
  void empty_graves();

  [[nodiscard]] int64_t now_us() const;  // steady (CLOCK_MONOTONIC)
  [[nodiscard]] uv_loop_s* raw() { return loop_; }

 private:
  void bury_erased(void* object, void (*destroy)(void*));

  struct Parts;  // async, check, idle handles and the graveyard
  uv_loop_s* loop_;
  std::unique_ptr<Parts> parts_;
};

// Calls back on the loop for each delivery of a signal, as long as it lives.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, int signal_number, std::function<void()> callback);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  struct State;
  State* state_;
};

}  // namespace hm::net
