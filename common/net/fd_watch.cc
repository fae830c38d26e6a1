#include "common/net/fd_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/net/loop.h"
#include "common/net/uv_handle.h"

namespace hm::net {

struct FdWatch::State {
  std::function<void()> at_end;
  Handle<uv_poll_t> handle;
  int descriptor = -1;

  ~State() { close(); }

  void close() {
    handle.reset();
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
  }

  void on_ready() {
    char buffer[256];
    while (true) {
      const ssize_t got = ::read(descriptor, buffer, sizeof buffer);
      if (got > 0) continue;
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      break;
    }
    close();
    const auto callback = std::exchange(at_end, nullptr);  // the callback may destroy the watch
    if (callback) callback();
  }
};

FdWatch::FdWatch(Loop& loop, std::function<void()> at_end) : loop_(&loop), state_(new State) {
  state_->at_end = std::move(at_end);
}

FdWatch::~FdWatch() {
  delete state_;
}

Result<void> FdWatch::start(int descriptor) {
  state_->descriptor = descriptor;
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0)
    return fail(Code::system, "fd_watch.flags", errno);
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  auto raw = std::make_unique<uv_poll_t>();
  if (const int status = uv_poll_init(loop_->raw(), raw.get(), descriptor); status != 0)
    return fail(Code::system, "fd_watch.init", -status);
  raw->data = state_;
  state_->handle = Handle<uv_poll_t>(raw.release());
  const int status = uv_poll_start(state_->handle.get(), UV_READABLE | UV_DISCONNECT,
                                   [](uv_poll_t* handle, int, int) {
                                     if (handle->data != nullptr)
                                       static_cast<State*>(handle->data)->on_ready();
                                   });
  if (status != 0) return fail(Code::system, "fd_watch.start", -status);
  return {};
}

}  // namespace hm::net
