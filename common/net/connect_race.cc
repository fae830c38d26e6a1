#include "common/net/connect_race.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "common/net/loop.h"

namespace hm::net {

namespace {

// Whatever the network says, the dial was refused, and the errno tells how. Only our own shortage
// and the kernel's patience have names of their own.
Error connect_error(int status) {
  Error error = error_of(status, "dialer.connect");
  if (error.code != Code::timeout && error.code != Code::exhausted) error.code = Code::refused;
  return error;
}

// A connect to a free local port can meet itself (simultaneous open) when the kernel picks that
// very port as its source: connected, and nobody is there.
bool met_itself(const uv_tcp_t* handle) {
  uv_os_fd_t descriptor = -1;
  uv_fileno(reinterpret_cast<const uv_handle_t*>(handle), &descriptor);
  const SocketAddress peer = peer_address(descriptor);
  if (!peer.loopback()) return false;
  const SocketAddress local = local_address(descriptor);
  return peer.port() == local.port() && peer.endpoint().address == local.endpoint().address;
}

}  // namespace

std::vector<SocketAddress> interleave(const std::vector<SocketAddress>& resolved) {
  std::vector<SocketAddress> six;
  std::vector<SocketAddress> four;
  for (const SocketAddress& address : resolved)
    (address.family() == AF_INET6 ? six : four).push_back(address);
  std::vector<SocketAddress> result;
  result.reserve(resolved.size());
  for (size_t i = 0; i < std::max(six.size(), four.size()); ++i) {
    if (i < six.size()) result.push_back(six[i]);
    if (i < four.size()) result.push_back(four[i]);
  }
  return result;
}

ConnectRace::ConnectRace(Loop& loop, std::vector<SocketAddress> addresses, Callback callback)
    : loop_(loop),
      addresses_(std::move(addresses)),
      callback_(std::move(callback)),
      delay_(loop, [this] { try_next(); }) {
  delay_.start_once(0);  // from the loop, so that nobody is called back in the constructor
}

void ConnectRace::try_next() {
  while (next_ < addresses_.size()) {
    const Error error = try_one(addresses_[next_++]);
    if (error.where[0] == '\0') {
      if (next_ < addresses_.size()) delay_.start_once(kAttemptDelayMs);
      return;
    }
    last_error_ = error;
  }
  if (attempts_.empty()) finish(std::unexpected(last_error_));
}

// Under way when the error is without a place.
Error ConnectRace::try_one(const SocketAddress& address) {
  auto handle = std::make_unique<uv_tcp_t>();
  // With the family given the socket exists at once, and with it TCP_NODELAY.
  int status = uv_tcp_init_ex(loop_.raw(), handle.get(), static_cast<unsigned>(address.family()));
  if (status != 0) return connect_error(status);
  handle->data = this;
  Handle<uv_tcp_t> attempt(handle.release());
  uv_tcp_nodelay(attempt.get(), 1);

  auto request = std::make_unique<uv_connect_t>();
  status = uv_tcp_connect(request.get(), attempt.get(), address.raw(),
                          [](uv_connect_t* raw, int result) {
                            const std::unique_ptr<uv_connect_t> owned(raw);
                            auto* race = static_cast<ConnectRace*>(raw->handle->data);
                            if (race != nullptr)
                              race->on_result(reinterpret_cast<uv_tcp_t*>(raw->handle), result);
                          });
  if (status != 0) return connect_error(status);
  request.release();  // frees itself in its callback
  attempts_.push_back(std::move(attempt));
  return {};
}

void ConnectRace::on_result(uv_tcp_t* handle, int status) {
  const auto at =
      std::ranges::find_if(attempts_, [handle](const auto& a) { return a.get() == handle; });
  if (at == attempts_.end()) return;
  Handle<uv_tcp_t> attempt = std::move(*at);
  attempts_.erase(at);
  if (status == 0 && met_itself(attempt.get())) status = UV_ECONNREFUSED;
  if (status == 0) {
    attempt->data = nullptr;
    return finish(TcpSocket(attempt.release()));
  }
  attempt.reset();
  last_error_ = connect_error(status);
  try_next();
}

void ConnectRace::finish(Result<TcpSocket> result) {
  delay_.stop();
  attempts_.clear();
  const Callback callback = std::move(callback_);
  callback(std::move(result));
}

}  // namespace hm::net
