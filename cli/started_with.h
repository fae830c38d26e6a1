// What a process was started with: its arguments and its environment. Blocks: reads /proc.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"

namespace hm::cli {

// Empty: it is gone, or not ours to see.
[[nodiscard]] std::vector<std::string> arguments_of(pid_t pid);
[[nodiscard]] std::optional<Environment> environment_of(pid_t pid);

}  // namespace hm::cli
