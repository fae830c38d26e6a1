// Runs another program to its end and keeps what it said. Blocks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/context.h"

namespace hm::cli {

struct Finished {
  int code = 127;  // the shell's convention; 127: it could not be started
  bool timed_out = false;
  std::string out;  // at most 1 MiB of each, the rest is read and dropped
  std::string err;

  [[nodiscard]] bool fine() const { return code == 0 && !timed_out; }
};

// words[0] is looked up in the environment's PATH. Standard input is empty. At the limit it is
// killed.
[[nodiscard]] Finished run_captured(const std::vector<std::string>& words,
                                    const Environment& environment, int64_t limit_ms);

// Without spaces and line ends at both ends.
[[nodiscard]] std::string trimmed(std::string_view text);

}  // namespace hm::cli
