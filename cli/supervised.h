// One service that the supervisor keeps running, as systemd would: the same environment, the same
// notify protocol (sd_notify(3)), the same descriptor store. Limits come from the unit file.
//
// What is started is the parent of a worker (common/setup/worker.h), and the service ends with the
// parent: the worker may go on for a while, to finish its calls. An explicit stop gives up the
// store, which tells such a worker that nobody will take over.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"
#include "common/base/descriptor.h"

namespace hm::cli {

struct UnitLimits {
  int64_t restart_us = 1'000'000;
  int64_t watchdog_us = 0;  // 0: not watched
  int64_t stop_us = 90'000'000;
  std::vector<std::string> unset;      // variables
  std::vector<std::string> arguments;  // of ExecStart, behind the program
};
[[nodiscard]] UnitLimits limits_of_unit(std::string_view unit_text);

class Supervised {
 public:
  // `notify_socket`: where the process sends its words; made here.
  Supervised(std::string name, std::filesystem::path program, UnitLimits limits,
             std::filesystem::path notify_socket);
  ~Supervised();
  Supervised(const Supervised&) = delete;
  Supervised& operator=(const Supervised&) = delete;

  [[nodiscard]] bool listen();  // the notify socket; false: errno
  [[nodiscard]] int notify_fd() const { return notify_.get(); }
  void read_words();  // what it said

  void want(bool wanted);  // started at the next step, or told to end now
  void restart();          // ends, and is started again without a pause
  void hurry();            // workers that finish their calls end now
  void step(int64_t now_us, const Environment& environment);
  // A child of ours has ended. False: neither this one nor a worker of its.
  bool on_exit(pid_t pid, int status, int64_t now_us);

  [[nodiscard]] bool running() const { return pid_ != 0; }
  // Nothing of it is left: no worker finishes calls, either.
  [[nodiscard]] bool gone() const { return pid_ == 0 && workers_.empty(); }
  // What is stored and has hung up is dropped, as systemd does. Wake up for these.
  void watch_store(std::vector<pollfd>& sources) const;
  void drop_hung_up();
  [[nodiscard]] int64_t next_step_us() const;  // steady; when step() has something to do
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  void launch(int64_t now_us, const Environment& environment);
  void terminate(int64_t now_us);
  struct Words {
    std::string fd_name = "stored";
    bool stores = false;
    bool removes = false;
    bool ready = false;
  };
  static void hear(std::string_view line, Words& words);
  void store(const std::string& name, Descriptor fd);

  const std::string name_;
  const std::filesystem::path program_;
  const UnitLimits limits_;
  const std::filesystem::path notify_path_;
  Descriptor notify_;
  std::vector<std::pair<std::string, Descriptor>> store_;
  pid_t pid_ = 0;               // of the parent
  std::vector<pid_t> workers_;  // that have said READY=1 and are not known to have ended
  bool wanted_ = false;
  bool stopping_ = false;
  bool at_once_ = false;  // the next start needs no pause
  int64_t started_us_ = 0;
  int64_t heard_us_ = 0;    // its last sign of life
  int64_t stop_by_us_ = 0;  // then it is killed
  int64_t start_after_us_ = 0;
  int failures_ = 0;  // in a row, each soon after its start
};

}  // namespace hm::cli
