// Private to common/net: connects to the first of several addresses that answers (RFC 8305, section
// 5): one attempt after the other, 250 ms apart, the next at once when one fails. The first that
// connects wins, the others are closed. No deadline of its own: destroying it ends the race.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/net/sockaddr.h"
#include "common/net/tcp_socket.h"
#include "common/net/timer.h"
#include "common/net/uv_handle.h"

namespace hm::net {

class Loop;

// RFC 8305, section 4: families in turn, IPv6 first; the resolver's order is kept within a family.
// Addresses may come late, and come twice.
class AddressTurns {
 public:
  void add(const std::vector<SocketAddress>& addresses);
  [[nodiscard]] bool empty() const { return six_.empty() && four_.empty(); }
  [[nodiscard]] std::optional<SocketAddress> next();

 private:
  std::deque<SocketAddress> six_;
  std::deque<SocketAddress> four_;
  std::set<std::string> seen_;
  bool four_is_next_ = false;
};

class ConnectRace {
 public:
  static constexpr int64_t kAttemptDelayMs = 250;

  // Called once, from the loop. May destroy the race. Failures are those of the last attempt.
  using Callback = std::function<void(Result<TcpSocket>)>;

  // With `more_to_come` the race is not lost before no_more() was said.
  ConnectRace(Loop& loop, const std::vector<SocketAddress>& addresses, bool more_to_come,
              Callback callback);
  ~ConnectRace() = default;
  ConnectRace(const ConnectRace&) = delete;
  ConnectRace& operator=(const ConnectRace&) = delete;

  void add(const std::vector<SocketAddress>& addresses);
  void no_more();

 private:
  void try_next();
  bool start_next();
  Error try_one(const SocketAddress& address);
  void on_result(uv_tcp_t* handle, int status);
  void finish(Result<TcpSocket> result);

  Loop& loop_;
  AddressTurns addresses_;
  bool more_to_come_;
  std::vector<Handle<uv_tcp_t>> attempts_;
  Callback callback_;
  Timer delay_;
  Error last_error_{Code::not_found, "dialer.no_address", 0};
};

}  // namespace hm::net
