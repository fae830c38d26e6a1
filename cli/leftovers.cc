#include "cli/leftovers.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "cli/remaining_edge.h"
#include "cli/started_with.h"
#include "common/base/clock.h"
#include "common/base/proc_sockets.h"
#include "common/base/process_stat.h"

namespace hm::cli {
namespace {

namespace fs = std::filesystem;

// The home that a process uses, from its flags or its environment.
fs::path home_of(const std::vector<std::string>& words, const Environment& environment) {
  for (size_t i = 1; i + 1 < words.size(); ++i)
    if (words[i] == "--home") return words[i + 1];
  if (const std::string_view moved = look_up(environment, "HALTON_METER_HOME"); !moved.empty())
    return moved;
  return fs::path(look_up(environment, "HOME")) / ".halton-meter";
}

// A zombie is gone: in a container the first process may never collect it.
bool is_there(pid_t pid) {
  const auto stat = read_process_stat(pid);
  return stat && !stat->ended();
}

}  // namespace

std::vector<OurProcess> usual_processes(const Context& context) {
  const auto is_ours = [&, remaining = remaining_edge_home(context)](const fs::path& home) {
    return home == context.home.root() || home == remaining;
  };
  std::vector<OurProcess> found;
  for (const int64_t process : processes_of(::getuid())) {
    const auto pid = static_cast<pid_t>(process);
    if (pid == ::getpid()) continue;
    const std::vector<std::string> words = arguments_of(pid);
    if (words.empty()) continue;
    const std::string program = fs::path(words[0]).filename().string();
    const bool pair = program == "halton-meter-edge" || program == "halton-meter-interceptor";
    const bool supervisor = program == "halton-meter" && words.size() >= 3 && words[1] == "start" &&
                            std::ranges::find(words, "--foreground") != words.end();
    if (!pair && !supervisor) continue;
    if (std::ranges::find(words, "--run-dir") != words.end()) continue;
    const auto environment = environment_of(pid);
    if (!environment || !is_ours(home_of(words, *environment))) continue;
    found.push_back({pid, program});
  }
  return found;
}

void end_processes(const std::vector<OurProcess>& processes, int64_t patience_ms) {
  const auto send = [&](int signal) {
    for (const OurProcess& process : processes) ::kill(process.pid, signal);
  };
  const auto wait = [&](int64_t limit_ms) {
    const int64_t end_us = system_clock().steady_us() + limit_ms * 1000;
    while (std::ranges::any_of(processes, is_there, &OurProcess::pid) &&
           system_clock().steady_us() < end_us)
      ::usleep(20'000);
  };
  if (processes.empty()) return;
  send(SIGCONT);
  send(SIGTERM);
  wait(patience_ms);
  send(SIGKILL);
  wait(2'000);
}

}  // namespace hm::cli
