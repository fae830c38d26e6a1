// How the usual pair is kept running on this machine, and how it is started and stopped there.
// Blocks.
#pragma once

#include <cstdint>
#include <string>

#include "cli/context.h"
#include "cli/systemd.h"

namespace hm::cli {

enum class Keeper : unsigned char {
  systemd,     // our units are installed and the user manager answers
  supervisor,  // `start --foreground` is running
  nobody,
};

// Tells the supervisor to start what was stopped.
[[nodiscard]] int start_signal();

class PairService {
 public:
  explicit PairService(const Context& context);

  [[nodiscard]] Keeper keeper() const { return keeper_; }
  [[nodiscard]] const Systemd& systemd() const { return systemd_; }
  [[nodiscard]] bool units_installed() const { return units_installed_; }
  [[nodiscard]] pid_t supervisor() const { return supervisor_; }  // 0: none

  // Empty: done; else what went wrong, as a sentence.
  [[nodiscard]] std::string start() const;
  [[nodiscard]] std::string stop_daemon() const;
  [[nodiscard]] std::string restart() const;

  // Both answer and the edge's gate is open. Empty: yes; else what is missing after that time.
  [[nodiscard]] std::string wait_healthy(int64_t limit_ms) const;
  // The interceptor takes no new call; it may be finishing open ones.
  [[nodiscard]] bool wait_daemon_gone(int64_t limit_ms) const;

 private:
  [[nodiscard]] std::string systemctl(const std::vector<std::string>& words) const;

  const Context& context_;
  Systemd systemd_;
  bool units_installed_ = false;
  pid_t supervisor_ = 0;
  Keeper keeper_ = Keeper::nobody;
};

// The file that a running supervisor holds a lock on; its content is the process id.
[[nodiscard]] std::filesystem::path supervisor_file(const RunPlace& place);

// "event: text" of the last error or warning in a log of ours; empty: none.
[[nodiscard]] std::string last_complaint(const std::filesystem::path& log);
// The end of a sentence: "; its log ends with ..." or nothing.
[[nodiscard]] std::string its_log_ends_with(const std::filesystem::path& log);

}  // namespace hm::cli
