// Programs that were started with a variable of ours. Blocks: reads /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hm::cli {

struct CarryingProcess {
  pid_t pid = 0;
  std::string name;
  uint64_t started = 0;  // field 22 of /proc/PID/stat: with the PID it names one process for ever
};
// Processes of this user with this variable in the environment they were started with, but this
// one.
[[nodiscard]] std::vector<CarryingProcess> processes_carrying(std::string_view name,
                                                              std::string_view value);

// Shells of this user at a terminal: what they exported themselves is to be seen nowhere.
[[nodiscard]] std::vector<CarryingProcess> interactive_shells();

[[nodiscard]] bool still_runs(const CarryingProcess& process);
[[nodiscard]] std::optional<CarryingProcess> process_named(pid_t pid);  // empty: there is none

}  // namespace hm::cli
