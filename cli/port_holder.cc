#include "cli/port_holder.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "cli/text.h"
#include "common/base/fs.h"

namespace hm::cli {
namespace {

namespace fs = std::filesystem;

struct Listening {
  uint64_t inode = 0;
  uid_t uid = 0;
};

// A line of /proc/net/tcp or tcp6 (proc(5)) that listens on the port, on loopback or everywhere.
std::optional<Listening> parse_line(const std::string& line, uint16_t port) {
  std::istringstream words(line);
  std::string skip;
  std::string local;
  std::string state;
  Listening found;
  words >> skip >> local >> skip >> state >> skip >> skip >> skip >> found.uid >> skip >>
      found.inode;
  const size_t colon = local.rfind(':');
  if (!words || colon == std::string::npos || state != "0A") return std::nullopt;
  unsigned number = 0;
  std::from_chars(local.data() + colon + 1, local.data() + local.size(), number, 16);
  if (number != port) return std::nullopt;
  const std::string_view address = std::string_view(local).substr(0, colon);
  const bool any = address.find_first_not_of('0') == std::string_view::npos;
  // 127.0.0.1, ::1 and ::ffff:127.0.0.1 as the kernel prints them.
  if (!any && address != "0100007F" && address != "00000000000000000000000001000000" &&
      address != "0000000000000000FFFF00000100007F")
    return std::nullopt;
  return found;
}

std::optional<pid_t> pid_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return pid;
}

std::string name_of_process(const fs::path& folder) {
  const auto name = read_file(folder / "comm", 256);
  return name ? printable(std::string_view(*name).substr(0, name->find('\n'))) : std::string();
}

template <class Visit>
void each_process(Visit visit) {
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    if (const auto pid = pid_of(at->path()); pid && !visit(*pid, at->path())) return;
  }
}

}  // namespace

std::optional<PortHolder> port_holder(uint16_t port) {
  std::optional<Listening> found;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const auto text = read_file(table, 64 * 1024 * 1024);
    if (!text) continue;
    std::istringstream lines(*text);
    for (std::string line; !found && std::getline(lines, line);) found = parse_line(line, port);
  }
  if (!found) return std::nullopt;
  PortHolder holder{0, {}, found->uid};
  const std::string socket = "socket:[" + std::to_string(found->inode) + "]";
  each_process([&](pid_t pid, const fs::path& folder) {
    std::error_code error;
    for (fs::directory_iterator at(folder / "fd", error), end; !error && at != end;
         at.increment(error)) {
      std::error_code unread;
      if (fs::read_symlink(at->path(), unread).native() != socket) continue;
      holder.pid = pid;
      holder.name = name_of_process(folder);
      return false;
    }
    return true;
  });
  return holder;
}

std::string holder_text(const PortHolder& holder) {
  if (holder.pid == 0) return "a process of user id " + std::to_string(holder.uid);
  return holder.name + " (PID " + std::to_string(holder.pid) + ")";
}

std::vector<CarryingProcess> processes_carrying(const std::string& setting) {
  std::vector<CarryingProcess> found;
  const std::string middle = std::string(1, '\0') + setting + std::string(1, '\0');
  each_process([&](pid_t pid, const fs::path& folder) {
    if (pid == ::getpid()) return true;
    const auto environment = read_file(folder / "environ", 4 * 1024 * 1024);
    if (!environment || environment->empty()) return true;
    std::string text(1, '\0');
    text += *environment + std::string(1, '\0');
    if (text.find(middle) != std::string::npos) found.push_back({pid, name_of_process(folder)});
    return true;
  });
  std::ranges::sort(found, {}, &CarryingProcess::pid);
  return found;
}

}  // namespace hm::cli
