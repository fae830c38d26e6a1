#include "common/net/connect_race.h"

#include <algorithm>
#include <memory>
#include <string>
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

void AddressTurns::add(const std::vector<SocketAddress>& addresses) {
  for (const SocketAddress& address : addresses) {
    const Endpoint endpoint = address.endpoint();
    if (!seen_.insert(endpoint.address + ' ' + std::to_string(endpoint.port)).second) continue;
    (address.family() == AF_INET6 ? six_ : four_).push_back(address);
  }
}

std::optional<SocketAddress> AddressTurns::next() {
  if (empty()) return std::nullopt;
  const bool four = six_.empty() || (four_is_next_ && !four_.empty());
  std::deque<SocketAddress>& turn = four ? four_ : six_;
  const SocketAddress address = turn.front();
  turn.pop_front();
  four_is_next_ = !four;
  return address;
}

ConnectRace::ConnectRace(Loop& loop, const std::vector<SocketAddress>& addresses, bool more_to_come,
                         Callback callback)
    : loop_(loop),
      more_to_come_(more_to_come),
      callback_(std::move(callback)),
      delay_(loop, [this] { try_next(); }) {
  addresses_.add(addresses);
  // A failure is told from the loop, so that nobody is called back in the constructor.
  if (!start_next()) delay_.start_once(0);
}

// An attempt under way keeps its 250 ms; without one the new address is due at once.
void ConnectRace::add(const std::vector<SocketAddress>& addresses) {
  addresses_.add(addresses);
  if (!delay_.running()) delay_.start_once(attempts_.empty() ? 0 : kAttemptDelayMs);
}

void ConnectRace::no_more() {
  more_to_come_ = false;
  if (attempts_.empty() && !delay_.running()) delay_.start_once(0);
}

void ConnectRace::try_next() {
  if (start_next()) return;
  if (attempts_.empty() && !more_to_come_) finish(std::unexpected(last_error_));
}

// True: an attempt at one more address is under way.
bool ConnectRace::start_next() {
  while (const auto address = addresses_.next()) {
    const Error error = try_one(*address);
    if (error.where[0] == '\0') {
      if (!addresses_.empty()) delay_.start_once(kAttemptDelayMs);
      return true;
    }
    last_error_ = error;
  }
  return false;
}

// Under way when the error is without a place.
Error ConnectRace::try_one(const SocketAddress& address) {
  auto handle = std::make_unique<uv_tcp_t>();
  // With the family given the socket exists at once, and can be tuned.
  int status = uv_tcp_init_ex(loop_.raw(), handle.get(), static_cast<unsigned>(address.family()));
  if (status != 0) return connect_error(status);
  handle->data = this;
  Handle<uv_tcp_t> attempt(handle.release());
  tune(attempt.get());

  auto request = std::make_unique<uv_connect_t>();
  status = uv_tcp_connect(request.get(), attempt.get(), address.raw(),
                          [](uv_connect_t* raw, int result) {
                            const std::unique_ptr<uv_connect_t> owned(raw);
                            auto* race = static_cast<ConnectRace*>(raw->handle->data);
                            if (race != nullptr)
                              race->on_result(reinterpret_cast<uv_tcp_t*>(raw->handle), result);
                          });
  if (status != 0) return connect_error(status);
  static_cast<void>(request.release());  // frees itself in its callback
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
