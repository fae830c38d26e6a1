// Who listens on a port of this machine, for messages about a port that is taken. Reads /proc,
// which takes milliseconds: not for a running loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace hm {

struct PortHolder {
  int64_t pid = 0;   // 0: a process whose descriptors we may not see
  int64_t uid = -1;  // of the socket
  std::string name;  // of the process, as in `ps`
};

[[nodiscard]] std::optional<PortHolder> port_holder(uint16_t port);

// "python3 (PID 4711)", "a process of user 33", "another program".
[[nodiscard]] std::string describe_port_holder(uint16_t port);

}  // namespace hm
