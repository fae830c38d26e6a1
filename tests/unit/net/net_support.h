// What the net tests share: a loop with a watchdog, blocking client sockets driven from outside,
// and owners that only write down what they were told.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/net/loop.h"
#include "common/net/tcp_listener.h"
#include "common/net/tcp_socket.h"
#include "common/net/tcp_stream.h"
#include "common/net/timer.h"

namespace hm::net::test {

// A plain descriptor of the test itself; closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int raw) : raw_(raw) {}
  Fd(Fd&& other) noexcept : raw_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    close();
    raw_ = other.release();
    return *this;
  }
  ~Fd() { close(); }
  void close() {
    if (raw_ >= 0) ::close(raw_);
    raw_ = -1;
  }
  int release() { return std::exchange(raw_, -1); }
  [[nodiscard]] int get() const { return raw_; }
  [[nodiscard]] bool open() const { return raw_ >= 0; }

  void abort() {  // RST
    const linger now{1, 0};
    setsockopt(raw_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void non_blocking() const { fcntl(raw_, F_SETFL, fcntl(raw_, F_GETFL) | O_NONBLOCK); }
  // As much as goes without waiting.
  size_t send_some(std::string_view text) const {
    const ssize_t sent = send(raw_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? static_cast<size_t>(sent) : 0;
  }
  // What is there now; sets `end` at EOF, `reset` at ECONNRESET.
  std::string take(bool* end = nullptr, bool* reset = nullptr, size_t at_most = 1 << 20) const {
    std::string all;
    std::vector<char> buffer(std::min<size_t>(at_most, 64 * 1024));
    while (all.size() < at_most) {
      const ssize_t got =
          recv(raw_, buffer.data(), std::min(buffer.size(), at_most - all.size()), MSG_DONTWAIT);
      if (got > 0) {
        all.append(buffer.data(), static_cast<size_t>(got));
        continue;
      }
      if (got == 0 && end != nullptr) *end = true;
      if (got < 0 && errno == ECONNRESET && reset != nullptr) *reset = true;
      break;
    }
    return all;
  }

 private:
  int raw_ = -1;
};

inline sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// Connects at once: the kernel completes the handshake against the backlog.
inline Fd connect_to(uint16_t port, int receive_buffer = 0) {
  Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer > 0)
    setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const sockaddr_in address = loopback(port);
  if (connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return {};
  return client;
}

// A listening socket that the test itself serves (or does not).
inline std::pair<Fd, uint16_t> listening(int backlog = 16) {
  Fd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  listen(server.get(), backlog);
  socklen_t length = sizeof address;
  getsockname(server.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return {std::move(server), ntohs(address.sin_port)};
}

inline Fd accept_from(const Fd& server) {
  return Fd(accept4(server.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

// A port on which nobody listens.
inline uint16_t dead_port() {
  return listening().second;
}

// Turns the loop until the condition holds. False after `ms`.
inline bool run_until(Loop& loop, const std::function<bool()>& condition, int64_t ms = 20'000) {
  if (condition()) return true;
  bool late = false;
  Timer limit(loop, [&] {
    late = true;
    loop.stop();
  });
  limit.start_once(ms);
  Timer pulse(loop, [&] {
    if (condition()) loop.stop();
  });
  pulse.start_repeating(1);
  loop.run();
  return !late || condition();
}

inline void run_for(Loop& loop, int64_t ms) {
  run_until(loop, [] { return false; }, ms);
}

// One end in the loop, the other a plain descriptor.
struct Pair {
  TcpSocket inside;
  Fd outside;
};

inline Pair make_pair(Loop& loop, int receive_buffer = 0) {
  Pair pair;
  TcpListener listener(loop, [&](TcpSocket socket) { pair.inside = std::move(socket); });
  const auto port = listener.listen("127.0.0.1", 0);
  REQUIRE(port);
  pair.outside = connect_to(*port, receive_buffer);
  REQUIRE(pair.outside.open());
  REQUIRE(run_until(loop, [&] { return static_cast<bool>(pair.inside); }));
  return pair;
}

// Writes down what it is told; `hook` may do anything, also destroy the stream.
struct Recorder final : TcpStream::Owner {
  std::string read;
  int eofs = 0;
  int drained = 0;
  int broken = 0;
  Error error;
  std::function<void(const char* what)> hook;

  void on_read(TcpStream& /*stream*/, Bytes bytes) override {
    read += as_text(bytes);
    if (hook) hook("read");
  }
  void on_eof(TcpStream& /*stream*/) override {
    ++eofs;
    if (hook) hook("eof");
  }
  void on_drained(TcpStream& /*stream*/) override {
    ++drained;
    if (hook) hook("drained");
  }
  void on_broken(TcpStream& /*stream*/, Error what) override {
    ++broken;
    error = what;
    if (hook) hook("broken");
  }
};

}  // namespace hm::net::test
