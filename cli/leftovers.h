// Processes of the usual pair, whoever started them, and their end. Blocks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cli/context.h"

namespace hm::cli {

struct OurProcess {
  pid_t pid = 0;
  std::string program;  // halton-meter-edge, halton-meter-interceptor, or halton-meter (supervisor)
};

// Edge (also one that stays after `uninstall`), interceptor and supervisor of this user and this
// home; not the pairs of `run`, which have a run folder and a life of their own.
[[nodiscard]] std::vector<OurProcess> usual_processes(const Context& context);

// SIGTERM, and SIGKILL for those that are still there after `patience_ms`.
void end_processes(const std::vector<OurProcess>& processes, int64_t patience_ms);

}  // namespace hm::cli
