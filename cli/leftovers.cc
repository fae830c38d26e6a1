#include "cli/leftovers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>

#include "common/base/clock.h"
#include "common/base/fs.h"

namespace hm::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> words_of(const std::string& zero_separated) {
  std::vector<std::string> words;
  for (size_t at = 0; at < zero_separated.size();) {
    const size_t end = std::min(zero_separated.find('\0', at), zero_separated.size());
    words.push_back(zero_separated.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::string value_of(const std::vector<std::string>& settings, const std::string& name) {
  for (const std::string& setting : settings)
    if (setting.starts_with(name + "=")) return setting.substr(name.size() + 1);
  return {};
}

// The home that a process uses, from its flags or its environment.
fs::path home_of(const std::vector<std::string>& words, const std::vector<std::string>& settings) {
  for (size_t i = 1; i + 1 < words.size(); ++i)
    if (words[i] == "--home") return words[i + 1];
  if (const std::string moved = value_of(settings, "HALTON_METER_HOME"); !moved.empty())
    return moved;
  return fs::path(value_of(settings, "HOME")) / ".halton-meter";
}

// A zombie is gone: in a container the first process may never collect it.
bool is_there(pid_t pid) {
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  const size_t state = stat ? stat->rfind(") ") : std::string::npos;
  return state != std::string::npos && (*stat)[state + 2] != 'Z' && (*stat)[state + 2] != 'X';
}

}  // namespace

std::vector<OurProcess> usual_processes(const Context& context) {
  std::vector<OurProcess> found;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    pid_t pid = 0;
    const auto [rest, bad] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (bad != std::errc() || rest != name.data() + name.size() || pid == ::getpid()) continue;
    struct stat info{};
    if (::stat(at->path().c_str(), &info) != 0 || info.st_uid != ::getuid()) continue;
    const auto command_line = read_file(at->path() / "cmdline", 1024 * 1024);
    if (!command_line) continue;
    const std::vector<std::string> words = words_of(*command_line);
    if (words.empty()) continue;
    const std::string program = fs::path(words[0]).filename().string();
    const bool pair = program == "halton-meter-edge" || program == "halton-meter-interceptor";
    const bool supervisor = program == "halton-meter" && words.size() >= 3 && words[1] == "start" &&
                            std::ranges::find(words, "--foreground") != words.end();
    if (!pair && !supervisor) continue;
    if (std::ranges::find(words, "--run-dir") != words.end()) continue;
    const auto environment = read_file(at->path() / "environ", 4 * 1024 * 1024);
    if (!environment || home_of(words, words_of(*environment)) != context.home.root()) continue;
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
