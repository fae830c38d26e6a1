// A listening socket on a loopback address. Accepted connections have TCP_NODELAY on. When the
// process has no descriptor left, accepting pauses for 100 ms and goes on (counter
// "net.accept_paused"); nothing crashes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/base/result.h"
#include "common/net/tcp_socket.h"

namespace hm::net {

class Loop;

class TcpListener {
 public:
  TcpListener(Loop& loop, std::function<void(TcpSocket)> on_accept);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  // Port 0 takes any free one. Returns the bound port; busy when it is taken.
  [[nodiscard]] Result<uint16_t> listen(const std::string& address, uint16_t port);
  // Tries `port`, then the next `attempts` higher ones. Anything but "taken" ends the search.
  [[nodiscard]] Result<uint16_t> listen_near(const std::string& address, uint16_t port,
                                             int attempts);
  // A socket that is bound and listening already (systemd's descriptor store).
  // On loopback only; else it stays the caller's.
  [[nodiscard]] Result<uint16_t> adopt(int file_descriptor);
  // adopt(kept) where that is 0 or more and of use, else listen_near(). Owns `kept`.
  [[nodiscard]] Result<uint16_t> adopt_or_listen_near(int kept, const std::string& address,
                                                      uint16_t port, int attempts);

  void close();
  [[nodiscard]] int file_descriptor() const;  // -1 when not listening

 private:
  struct State;
  State* state_;
};

}  // namespace hm::net
