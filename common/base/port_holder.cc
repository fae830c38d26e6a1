#include "common/base/port_holder.h"

#include <utility>

#include "common/base/proc_sockets.h"
#include "common/base/process_stat.h"

namespace hm {
namespace {

// Whoever listens there keeps 127.0.0.1 from us: everywhere, 127.0.0.1, ::1 or ::ffff:127.0.0.1.
bool covers_loopback(const std::string& address) {
  return address.find_first_not_of('0') == std::string::npos || address == "0100007F" ||
         address == "00000000000000000000000001000000" ||
         address == "0000000000000000FFFF00000100007F";
}

}  // namespace

std::optional<PortHolder> port_holder(uint16_t port) {
  const auto socket = find_socket_entry([port](const SocketEntry& entry) {
    return entry.listening && entry.local_port == port && covers_loopback(entry.local_address);
  });
  if (!socket) return std::nullopt;
  PortHolder holder;
  holder.uid = static_cast<int64_t>(socket->uid);
  for (const int64_t pid : processes_of(std::nullopt)) {
    if (!process_holds(pid, socket->inode)) continue;
    holder.pid = pid;
    if (auto stat = read_process_stat(pid)) holder.name = std::move(stat->command);
    if (holder.name != "systemd") break;
  }
  return holder;
}

std::string describe(const PortHolder& holder) {
  if (holder.pid == 0) return "a process of user " + std::to_string(holder.uid);
  return holder.name + " (PID " + std::to_string(holder.pid) + ")";
}

std::string describe_port_holder(uint16_t port) {
  const auto holder = port_holder(port);
  return holder ? describe(*holder) : "another program";
}

}  // namespace hm
