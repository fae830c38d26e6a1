// What the kernel says of a process in /proc/PID/stat.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hm {

// The fields that we use (proc(5)).
struct ProcessStat {
  std::string command;  // at most 15 bytes: the kernel cuts it
  char state = 0;       // Z and X: it has ended, and nobody has collected it yet
  int64_t parent_pid = 0;
  int64_t terminal = 0;     // 0: none
  uint64_t start_time = 0;  // clock ticks since boot: with the PID it names one process for good

  [[nodiscard]] bool ended() const { return state == 'Z' || state == 'X'; }
};

// Pure: the text of the file. The command may hold spaces and parentheses itself.
[[nodiscard]] std::optional<ProcessStat> parse_process_stat(std::string_view text);

// Empty when the process is gone. Blocking; any thread.
[[nodiscard]] std::optional<ProcessStat> read_process_stat(int64_t pid);

}  // namespace hm
