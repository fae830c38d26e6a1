#include "cli/carrying.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <utility>

#include "cli/text.h"
#include "common/base/fs.h"
#include "common/base/proc_sockets.h"

namespace hm::cli {

namespace {

struct Stat {
  std::string name;
  int64_t terminal = 0;  // 0: none
  uint64_t started = 0;
};

// proc(5): "pid (comm) state ppid pgrp session tty_nr ... starttime", the name with anything in it.
std::optional<Stat> stat_of(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return std::nullopt;
  const size_t open = text->find('(');
  const size_t close = text->rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return std::nullopt;
  Stat stat{.name = printable(text->substr(open + 1, close - open - 1))};
  std::istringstream rest(text->substr(close + 1));
  std::string field;
  for (int number = 3; rest >> field && number <= 22; ++number) {
    if (number == 3 && (field == "Z" || field == "X")) return std::nullopt;
    if (number == 7) stat.terminal = std::strtoll(field.c_str(), nullptr, 10);
    if (number == 22) stat.started = std::strtoull(field.c_str(), nullptr, 10);
  }
  return stat;
}

}  // namespace

std::optional<CarryingProcess> process_named(pid_t pid) {
  const auto stat = stat_of(pid);
  if (!stat) return std::nullopt;
  return CarryingProcess{pid, stat->name, stat->started};
}

bool still_runs(const CarryingProcess& process) {
  const auto now = stat_of(process.pid);
  return now && now->started == process.started;
}

std::vector<CarryingProcess> interactive_shells() {
  std::vector<CarryingProcess> found;
  for (const int64_t pid : processes_of(::getuid())) {
    const auto stat = stat_of(static_cast<pid_t>(pid));
    if (!stat || stat->terminal == 0) continue;
    if (stat->name == "bash" || stat->name == "zsh" || stat->name == "fish" || stat->name == "sh" ||
        stat->name == "dash")
      found.push_back({static_cast<pid_t>(pid), stat->name, stat->started});
  }
  std::ranges::sort(found, {}, &CarryingProcess::pid);
  return found;
}

std::vector<CarryingProcess> processes_carrying(const std::string& setting) {
  std::vector<CarryingProcess> found;
  const std::string middle = std::string(1, '\0') + setting + std::string(1, '\0');
  for (const int64_t pid : processes_of(::getuid())) {
    if (pid == ::getpid()) continue;
    const auto folder = std::filesystem::path("/proc") / std::to_string(pid);
    const auto environment = read_file(folder / "environ", 4 * 1024 * 1024);
    if (!environment || environment->empty()) continue;
    std::string text(1, '\0');
    text += *environment + std::string(1, '\0');
    if (text.find(middle) == std::string::npos) continue;
    if (auto process = process_named(static_cast<pid_t>(pid))) found.push_back(std::move(*process));
  }
  std::ranges::sort(found, {}, &CarryingProcess::pid);
  return found;
}

}  // namespace hm::cli
