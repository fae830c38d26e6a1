// Whose socket is at the other end of a loopback connection? The kernel tells inode and uid
// (sock_diag over netlink, else /proc/net/tcp; neither needs a privilege); /proc/PID/fd of our own
// user's processes tells the pid.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <vector>

#include "common/base/result.h"

namespace hm::attribution {

struct SocketInfo {
  uint64_t inode = 0;
  uid_t uid = 0;
};

// The client's end of the connection client_port -> our_port on this machine. not_found: there is
// none (any more). Blocking, well under a millisecond.
[[nodiscard]] Result<SocketInfo> find_socket(uint16_t client_port, uint16_t our_port);
// The two ways to it, each alone.
[[nodiscard]] Result<SocketInfo> find_socket_by_netlink(uint16_t client_port, uint16_t our_port);
[[nodiscard]] Result<SocketInfo> find_socket_in_proc(uint16_t client_port, uint16_t our_port);

struct Owner {
  int64_t pid = 0;
  uint64_t start_time = 0;  // see ClientFacts
  uid_t uid = 0;
};

// Remembers the processes that were found last and looks at them first: an agent's calls come from
// few processes. Blocking calls, any thread.
class SocketOwner {
 public:
  // refused: the socket is another user's. not_found: no process of ours holds it. timeout: the
  // budget was used up.
  [[nodiscard]] Result<Owner> find(uint16_t client_port, uint16_t our_port,
                                   std::chrono::milliseconds budget);

 private:
  void remember(const Owner& owner);

  std::mutex mutex_;
  std::vector<Owner> recent_;  // GUARDED_BY(mutex_); most recent first, at most 64
};

}  // namespace hm::attribution
