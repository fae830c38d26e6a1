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

// Empty: nobody keeps 127.0.0.1 at this port from us. A socket may have several holders: systemd
// keeps those of its services in a store, and is named only when nobody else has it.
[[nodiscard]] std::optional<PortHolder> port_holder(uint16_t port);

[[nodiscard]] std::string describe(const PortHolder& holder);  // "python3 (PID 4711)"
// The same, or "another program" when nobody is found.
[[nodiscard]] std::string describe_port_holder(uint16_t port);

}  // namespace hm
