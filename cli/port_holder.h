// Who listens on a port of this machine: /proc, so processes of other users show as their uid only.
// Blocks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hm::cli {

struct PortHolder {
  pid_t pid = 0;     // 0: another user's
  std::string name;  // of the process
  uid_t uid = 0;
};

// Empty: nobody listens there on 127.0.0.1 or on all addresses.
[[nodiscard]] std::optional<PortHolder> port_holder(uint16_t port);

[[nodiscard]] std::string holder_text(const PortHolder& holder);  // "python3 (PID 4711)"

// Processes of this user with `name=value` in the environment they were started with, but this one.
struct CarryingProcess {
  pid_t pid = 0;
  std::string name;
};
[[nodiscard]] std::vector<CarryingProcess> processes_carrying(const std::string& setting);

}  // namespace hm::cli
