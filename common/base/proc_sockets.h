// TCP sockets and who holds them, read from /proc. Blocking; any thread, but no running loop.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace hm {

struct SocketEntry {
  std::string local_address;  // hexadecimal words, as the kernel prints them
  uint16_t local_port = 0;
  uint16_t remote_port = 0;
  bool listening = false;
  uid_t uid = 0;
  uint64_t inode = 0;  // 0: nobody holds it any more
};

// The first one in /proc/net/tcp, then tcp6, that is wanted.
[[nodiscard]] std::optional<SocketEntry> find_socket_entry(
    const std::function<bool(const SocketEntry&)>& wanted);

// Does the process have this socket open? False as well when we may not look.
[[nodiscard]] bool process_holds(int64_t pid, uint64_t inode);

// Youngest first: clients are usually younger than desktops and daemons. Without a uid:
// everybody's.
[[nodiscard]] std::vector<int64_t> processes_of(std::optional<uid_t> uid);

}  // namespace hm
