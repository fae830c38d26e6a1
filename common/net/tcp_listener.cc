#include "common/net/tcp_listener.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "common/net/acceptor.h"
#include "common/net/loop.h"
#include "common/net/sockaddr.h"
#include "common/net/uv_handle.h"

namespace hm::net {

struct TcpListener::State {
  State(Loop& the_loop, std::function<void(TcpSocket)> callback)
      : loop(the_loop),
        on_accept(std::move(callback)),
        acceptor(the_loop, [this](int descriptor) { accept(descriptor); }) {}

  Loop& loop;
  std::function<void(TcpSocket)> on_accept;
  Acceptor acceptor;
  bool inside = false;
  bool dead = false;

  void accept(int descriptor) {
    auto handle = std::make_unique<uv_tcp_t>();
    uv_tcp_init(loop.raw(), handle.get());  // without a socket: cannot fail
    handle->data = nullptr;
    TcpSocket socket(handle.release());
    if (uv_tcp_open(socket.handle(), descriptor) != 0) {
      ::close(descriptor);
      return;
    }
    inside = true;
    on_accept(std::move(socket));
    inside = false;
    if (dead) delete this;
  }
};

namespace {

Result<int> open_listening(const SocketAddress& address) {
  const int descriptor = socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return fail_with(errno, "tcp_listener.socket");
  // A port of a process that just ended can be taken again at once; one in use cannot.
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(descriptor, address.raw(), address.length()) != 0 ||
      listen(descriptor, SOMAXCONN) != 0) {
    const auto failure = fail_with(errno, "tcp_listener.listen");
    close(descriptor);
    return failure;
  }
  return descriptor;
}

// Of a socket that can be adopted: one that listens, on loopback.
Result<SocketAddress> listening_address(int descriptor) {
  int listening = 0;
  socklen_t length = sizeof listening;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0)
    return fail_with(errno, "tcp_listener.adopt");
  const SocketAddress local = local_address(descriptor);
  if (listening == 0 || (local.family() != AF_INET && local.family() != AF_INET6))
    return fail(Code::unsupported, "tcp_listener.adopt");
  if (!local.loopback()) return fail(Code::permission, "tcp_listener.not_loopback");
  return local;
}

}  // namespace

TcpListener::TcpListener(Loop& loop, std::function<void(TcpSocket)> on_accept)
    : state_(new State(loop, std::move(on_accept))) {}

TcpListener::~TcpListener() {
  state_->acceptor.close();
  if (state_->inside)
    state_->dead = true;  // the callback is on the stack: it frees what it runs from
  else
    delete state_;
}

Result<uint16_t> TcpListener::listen(const std::string& address, uint16_t port) {
  const auto parsed = parse_address(address, port);
  if (!parsed) return fail(Code::malformed, "tcp_listener.address");
  if (!parsed->loopback()) return fail(Code::permission, "tcp_listener.not_loopback");
  const auto descriptor = open_listening(*parsed);
  if (!descriptor) return std::unexpected(descriptor.error());
  return adopt(*descriptor);
}

Result<uint16_t> TcpListener::listen_near(const std::string& address, uint16_t port, int attempts) {
  for (int step = 0;; ++step) {
    const auto bound = listen(address, static_cast<uint16_t>(port + step));
    if (bound || bound.error().code != Code::busy) return bound;
    if (step >= attempts || port + step >= 65'535) return bound;
  }
}

Result<uint16_t> TcpListener::adopt(int file_descriptor) {
  const auto local = listening_address(file_descriptor);
  if (!local) return std::unexpected(local.error());
  fcntl(file_descriptor, F_SETFD, FD_CLOEXEC);
  const int flags = fcntl(file_descriptor, F_GETFL);
  fcntl(file_descriptor, F_SETFL, flags | O_NONBLOCK);
  tune(file_descriptor);  // accepted sockets inherit it
  if (auto started = state_->acceptor.start(file_descriptor); !started)
    return std::unexpected(started.error());
  return local->port();
}

Result<uint16_t> TcpListener::adopt_or_listen_near(int kept, const std::string& address,
                                                   uint16_t port, int attempts) {
  if (kept >= 0) {
    if (listening_address(kept)) return adopt(kept);
    ::close(kept);
  }
  return listen_near(address, port, attempts);
}

void TcpListener::close() {
  state_->acceptor.close();
}

int TcpListener::file_descriptor() const {
  return state_->acceptor.file_descriptor();
}

}  // namespace hm::net
