// `reload`: config.toml read again by a running process. The file is read on the pool; what can be
// taken up is, from the loop, and the rest is named. A file with a fault changes nothing at all:
// what was in force stays, and the line is told. Loop thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/config.h"
#include "common/net/work.h"

namespace hm::setup {

class ConfigReload {
 public:
  // Sentences about what could not be taken up after all, when everything is done.
  using Done = std::function<void(std::vector<std::string> notes)>;
  // `in_force` holds the new values already. Calls `done` once, from the loop, now or later.
  using Apply = std::function<void(const std::vector<std::string>& changed, Done done)>;

  // `in_force` must outlive it. It is changed in place, except for what needs a restart.
  ConfigReload(net::Loop& loop, std::filesystem::path file, config::Loaded& in_force, Apply apply);

  // The number of this reload: it is over when done() has reached it.
  int64_t begin();
  [[nodiscard]] int64_t done() const { return done_; }

  // What became of the last one, for the control socket: done, changed, restart, fault, note.
  [[nodiscard]] std::vector<std::pair<std::string_view, std::string>> outcome() const;
  // What it left open, one sentence each, for `status`.
  [[nodiscard]] std::vector<std::string> left_open() const;

 private:
  void read();
  void take(config::Loaded fresh);
  void finish(std::vector<std::string> notes);

  net::Work work_;
  const std::filesystem::path file_;
  config::Loaded& in_force_;
  const Apply apply_;
  int64_t asked_ = 0;
  int64_t reading_ = 0;  // the number that the file was last read for
  int64_t done_ = 0;
  bool busy_ = false;
  std::vector<std::string> changed_;
  std::vector<std::string> needs_restart_;
  std::vector<std::string> faults_;
  std::vector<std::string> notes_;
};

}  // namespace hm::setup
