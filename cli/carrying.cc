#include "cli/carrying.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "cli/started_with.h"
#include "cli/text.h"
#include "common/base/proc_sockets.h"
#include "common/base/process_stat.h"

namespace hm::cli {
namespace {

constexpr std::array<std::string_view, 5> kShells = {"bash", "zsh", "fish", "sh", "dash"};

}  // namespace

std::optional<CarryingProcess> process_named(pid_t pid) {
  const auto stat = read_process_stat(pid);
  if (!stat || stat->ended()) return std::nullopt;
  return CarryingProcess{pid, printable(stat->command), stat->start_time};
}

bool still_runs(const CarryingProcess& process) {
  const auto now = read_process_stat(process.pid);
  return now && !now->ended() && now->start_time == process.started;
}

std::vector<CarryingProcess> interactive_shells() {
  std::vector<CarryingProcess> found;
  for (const int64_t pid : processes_of(::getuid())) {
    const auto stat = read_process_stat(pid);
    if (!stat || stat->ended() || stat->terminal == 0) continue;
    if (std::ranges::find(kShells, stat->command) != kShells.end())
      found.push_back({static_cast<pid_t>(pid), stat->command, stat->start_time});
  }
  std::ranges::sort(found, {}, &CarryingProcess::pid);
  return found;
}

std::vector<CarryingProcess> processes_carrying(std::string_view name, std::string_view value) {
  std::vector<CarryingProcess> found;
  for (const int64_t pid : processes_of(::getuid())) {
    if (pid == ::getpid()) continue;
    const auto environment = environment_of(static_cast<pid_t>(pid));
    if (!environment || look_up(*environment, name) != value) continue;
    if (auto process = process_named(static_cast<pid_t>(pid))) found.push_back(std::move(*process));
  }
  std::ranges::sort(found, {}, &CarryingProcess::pid);
  return found;
}

}  // namespace hm::cli
