// What /proc says about a client's process, as plain data. Of its environment only our own two
// variables are kept; everything else is wiped at once, since keys live there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hm::attribution {

struct ClientFacts {
  int64_t pid = 0;
  int64_t parent_pid = 0;
  uint64_t start_time = 0;  // clock ticks since boot: with the pid, one process for good
  std::string name;         // of the program, at most 64 printable bytes
  std::string cwd;          // absolute; empty when it cannot be read
  std::string project;      // HALTON_PROJECT, as it was set
  std::string run_id;       // HALTON_METER_RUN
};

// Pure: a program's name from its command and its first argument. The longer one wins when the
// kernel's is only its beginning; threads' names ("MainThread") are no program's.
[[nodiscard]] std::string program_name(std::string_view command, std::string_view argument);

// Empty when the process is gone. Fields that may not be read stay empty. Blocking; any thread.
[[nodiscard]] std::optional<ClientFacts> read_client_facts(int64_t pid);
// Where it works now; empty when that may not be read. Blocking; any thread.
[[nodiscard]] std::string working_folder(int64_t pid);

}  // namespace hm::attribution
