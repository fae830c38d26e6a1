#include "common/base/proc_sockets.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>

namespace hm {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

template <class Number>
std::optional<Number> number(std::string_view text, int base = 10) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "0100007F:1F91": host order hex, port last.
std::optional<uint16_t> port_of(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  return number<uint16_t>(address.substr(colon + 1), 16);
}

// sl local remote st queues timer retransmits uid timeout inode (proc(5)); state 0A is LISTEN.
std::optional<SocketEntry> parse_line(const std::string& line) {
  std::istringstream words(line);
  std::string slot, local, remote, state, queues, timer, retransmits, timeout;
  SocketEntry entry;
  if (!(words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> entry.uid >>
        timeout >> entry.inode))
    return std::nullopt;
  const auto local_port = port_of(local);
  const auto remote_port = port_of(remote);
  if (!local_port || !remote_port) return std::nullopt;
  entry.local_address = local.substr(0, local.rfind(':'));
  entry.local_port = *local_port;
  entry.remote_port = *remote_port;
  entry.listening = state == "0A";
  return entry;
}

}  // namespace

std::optional<SocketEntry> find_socket_entry(
    const std::function<bool(const SocketEntry&)>& wanted) {
  for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream table(file);
    std::string line;
    std::getline(table, line);  // headings
    while (std::getline(table, line))
      if (const auto entry = parse_line(line); entry && wanted(*entry)) return entry;
  }
  return std::nullopt;
}

bool process_holds(int64_t pid, uint64_t inode) {
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  const Folder folder(::opendir(path.c_str()));
  const int at = folder != nullptr ? ::dirfd(folder.get()) : -1;
  if (at < 0) return false;
  std::vector<int> descriptors;
  while (const dirent* entry = ::readdir(folder.get()))
    if (const auto descriptor = number<int>(entry->d_name)) descriptors.push_back(*descriptor);
  // The highest first: who asks looks for a connection that was opened just now, and the process
  // may have thousands.
  std::ranges::sort(descriptors, std::greater<>());
  std::array<char, 64> target{};
  for (const int descriptor : descriptors) {
    const ssize_t length =
        ::readlinkat(at, std::to_string(descriptor).c_str(), target.data(), target.size());
    if (length > 0 && std::string_view(target.data(), static_cast<size_t>(length)) == wanted)
      return true;
  }
  return false;
}

std::vector<int64_t> processes_of(std::optional<uid_t> uid) {
  std::vector<int64_t> pids;
  const Folder proc(::opendir("/proc"));
  if (proc == nullptr) return pids;
  while (const dirent* entry = ::readdir(proc.get())) {
    const auto pid = number<int64_t>(entry->d_name);
    if (!pid) continue;
    struct stat info{};
    if (uid &&
        (::fstatat(::dirfd(proc.get()), entry->d_name, &info, 0) != 0 || info.st_uid != *uid))
      continue;
    pids.push_back(*pid);
  }
  std::ranges::sort(pids, std::greater<>());
  return pids;
}

}  // namespace hm
