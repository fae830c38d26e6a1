#include "common/net/timer.h"

#include <algorithm>
#include <utility>

#include "common/net/loop.h"
#include "common/net/uv_handle.h"

namespace hm::net {

namespace {

// A process that stood still (stopped, swapped out, a machine that was paused) finds its timers due
// before it has read what came meanwhile: libuv runs them first. So a deadline that is this late
// waits for the sockets once more; the process at the other end may have stood still, too.
constexpr uint64_t kLateMs = 100;
constexpr uint64_t kGraceMs = 100;

}  // namespace

struct Timer::State {
  Handle<uv_timer_t> handle;
  std::function<void()> callback;
  uint64_t due_ms = 0;  // of a deadline; 0: a pulse, or it has had its grace
  bool inside = false;
  bool dead = false;

  static void on_timer(uv_timer_t* handle) {
    auto* state = static_cast<State*>(handle->data);
    if (state == nullptr) return;
    const uint64_t due_ms = std::exchange(state->due_ms, 0);
    if (due_ms != 0 && uv_now(handle->loop) > due_ms + kLateMs) {
      uv_timer_start(handle, on_timer, kGraceMs, 0);
      return;
    }
    state->inside = true;
    state->callback();
    state->inside = false;
    if (state->dead) delete state;
  }

  void start(int64_t milliseconds, bool repeating) {
    const auto wait = static_cast<uint64_t>(std::max<int64_t>(milliseconds, 0));
    // The loop's clock stands still during a turn and before run(): without this a deadline that
    // is set after long work would be short by that work.
    uv_update_time(handle->loop);
    due_ms = repeating ? 0 : uv_now(handle->loop) + wait;
    uv_timer_start(handle.get(), on_timer, wait, repeating ? std::max<uint64_t>(wait, 1) : 0);
  }
};

Timer::Timer(Loop& loop, std::function<void()> callback) : state_(new State) {
  state_->callback = std::move(callback);
  state_->handle = Handle<uv_timer_t>::make(loop.raw(), uv_timer_init, state_);
}

Timer::~Timer() {
  state_->handle.reset();
  if (state_->inside)
    state_->dead = true;  // the callback is on the stack: it frees what it runs from
  else
    delete state_;
}

void Timer::start_once(int64_t milliseconds) {
  state_->start(milliseconds, false);
}
void Timer::start_repeating(int64_t milliseconds) {
  state_->start(milliseconds, true);
}
void Timer::stop() {
  uv_timer_stop(state_->handle.get());
}

bool Timer::running() const {
  return uv_is_active(reinterpret_cast<const uv_handle_t*>(state_->handle.get())) != 0;
}

}  // namespace hm::net
