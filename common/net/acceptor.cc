#include "common/net/acceptor.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/base/counters.h"
#include "common/net/loop.h"
#include "common/net/uv_handle.h"

namespace hm::net {

namespace {
constexpr uint64_t kPauseMs = 100;
constexpr int kAcceptsPerTurn = 64;  // then the connections that exist have their turn
}  // namespace

struct Acceptor::State {
  Loop& loop;
  std::function<void(int)> on_descriptor;
  Handle<uv_poll_t> poll;
  Handle<uv_timer_t> pause;
  int listening = -1;
  bool inside = false;
  bool dead = false;

  State(Loop& the_loop, std::function<void(int)> callback)
      : loop(the_loop), on_descriptor(std::move(callback)) {}

  void close() {
    poll.reset();  // before the descriptor: libuv takes it out of its epoll set
    pause.reset();
    if (listening >= 0) ::close(listening);
    listening = -1;
  }

  void watch() { uv_poll_start(poll.get(), UV_READABLE, on_readable); }

  void wait_for_descriptors() {
    counters::get("net.accept_paused").add();
    uv_poll_stop(poll.get());
    uv_update_time(loop.raw());
    uv_timer_start(
        pause.get(),
        [](uv_timer_t* timer) {
          if (auto* state = static_cast<State*>(timer->data)) state->watch();
        },
        kPauseMs, 0);
  }

  static void on_readable(uv_poll_t* poll, int /*status*/, int /*events*/) {
    auto* state = static_cast<State*>(poll->data);
    if (state == nullptr) return;
    state->inside = true;
    for (int i = 0; i < kAcceptsPerTurn && state->listening >= 0; ++i) {
      const int accepted =
          accept4(state->listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted >= 0) {
        state->on_descriptor(accepted);
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) break;
      // EMFILE, ENFILE, ENOBUFS, ENOMEM. Whatever else there may be must not spin either.
      state->wait_for_descriptors();
      break;
    }
    state->inside = false;
    if (state->dead) delete state;
  }
};

Acceptor::Acceptor(Loop& loop, std::function<void(int)> on_descriptor)
    : state_(new State(loop, std::move(on_descriptor))) {}

Acceptor::~Acceptor() {
  state_->close();
  if (state_->inside)
    state_->dead = true;  // the callback is on the stack: it frees what it runs from
  else
    delete state_;
}

Result<void> Acceptor::start(int listening) {
  close();
  state_->listening = listening;
  auto poll = std::make_unique<uv_poll_t>();
  const int status = uv_poll_init(state_->loop.raw(), poll.get(), listening);
  if (status != 0) {
    close();
    return fail_with(status, "acceptor.start");
  }
  poll->data = state_;
  state_->poll = Handle<uv_poll_t>(poll.release());
  state_->pause = Handle<uv_timer_t>::make(state_->loop.raw(), uv_timer_init, state_);
  state_->watch();
  return {};
}

void Acceptor::close() {
  state_->close();
}

int Acceptor::file_descriptor() const {
  return state_->listening;
}

}  // namespace hm::net
