// Starting processes and waiting for one in the foreground. Everything here blocks.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "common/base/result.h"

namespace hm::cli {

// Keeps the signals that would end us (INT, TERM, HUP, QUIT, USR1, USR2) and CHLD waiting in line
// as long as it lives, so that they are taken in order and not lost. Signals that were ignored
// before stay ignored.
class SignalLine {
 public:
  SignalLine();
  ~SignalLine();
  SignalLine(const SignalLine&) = delete;
  SignalLine& operator=(const SignalLine&) = delete;

  struct Arrival {
    int number = 0;
    bool from_terminal = false;  // Ctrl-C and the like: the whole foreground group got it
  };
  // The next one, or nothing when timeout_ms have passed (negative: waits for ever).
  [[nodiscard]] std::optional<Arrival> next(int64_t timeout_ms);
  [[nodiscard]] const sigset_t& before() const { return before_; }

 private:
  sigset_t watched_{};
  sigset_t before_{};
};

struct ProcessPlan {
  std::filesystem::path program;   // as find_program() says
  std::vector<std::string> words;  // the name it was called by, then its arguments
  Environment environment;
  std::vector<int> inherit;  // descriptors that stay open in it, under their numbers
  bool background = false;   // session of its own, nothing from and to the terminal
};

// 127: nowhere to be found, 126: there and not to be executed; the value: what to execute.
[[nodiscard]] std::expected<std::filesystem::path, int> find_program(const std::string& name,
                                                                     std::string_view search_path);

// Forks and executes. A program that cannot be executed shows as exit code 127 or 126.
[[nodiscard]] Result<pid_t> start_process(const ProcessPlan& plan, const SignalLine& signals);

// Waits for the child, handing on the signals that come for us alone. The shell's convention: its
// exit code, or 128 plus the signal that ended it.
[[nodiscard]] int wait_in_foreground(pid_t child, SignalLine& signals);

// Has it ended? Its exit code in the same convention.
[[nodiscard]] std::optional<int> has_ended(pid_t child);

}  // namespace hm::cli
