#include "common/net/work.h"

#include "common/base/background.h"
#include "common/base/counters.h"
#include "common/net/loop.h"
#include "common/net/uv_handle.h"

namespace hm::net {

// Frees itself when the pool is done with it; `asker` is null once nobody waits any more.
struct Work::State {
  uv_work_t request{};
  std::function<void()> job;
  std::function<void()> done;
  Work* asker = nullptr;

  static void run(uv_work_t* request) {
    auto* state = static_cast<State*>(request->data);
    static thread_local const bool told = (never_interrupt_others(), true);
    static_cast<void>(told);
    try {
      state->job();
    } catch (...) {  // must not cross libuv; the asker gets a default-made result
      counters::get("net.work_threw").add();
    }
  }

  static void after(uv_work_t* request, int status) {
    const std::unique_ptr<State> state(static_cast<State*>(request->data));
    if (state->asker == nullptr) return;
    state->asker->state_ = nullptr;
    if (status == 0 && !shared_of(request->loop).closing) state->done();
  }
};

bool Work::start_erased(std::function<void()> job, std::function<void()> done) {
  if (state_ != nullptr) return false;
  auto state = std::make_unique<State>();
  state->job = std::move(job);
  state->done = std::move(done);
  state->asker = this;
  state->request.data = state.get();
  if (uv_queue_work(loop_.raw(), &state->request, State::run, State::after) != 0) return false;
  state_ = state.release();
  return true;
}

void Work::cancel() {
  if (state_ == nullptr) return;
  state_->asker = nullptr;
  // Takes it from the queue when it has not begun; the state is freed by after() in either case.
  uv_cancel(reinterpret_cast<uv_req_t*>(&state_->request));
  state_ = nullptr;
}

}  // namespace hm::net
