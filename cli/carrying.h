// Programs that were started with a variable of ours. Blocks: reads /proc.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace hm::cli {

struct CarryingProcess {
  pid_t pid = 0;
  std::string name;
};
// Processes of this user with `name=value` in the environment they were started with, but this one.
[[nodiscard]] std::vector<CarryingProcess> processes_carrying(const std::string& setting);

}  // namespace hm::cli
