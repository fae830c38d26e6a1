#include "interceptor/attribution/socket_owner.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "interceptor/attribution/client_facts.h"

namespace hm::attribution {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t kMaxRecent = 64;
constexpr int kMaxParents = 4;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseFolder>;

struct DiagRequest {
  nlmsghdr header{};
  inet_diag_req_v2 body{};
};

DiagRequest make_request(uint8_t family, uint16_t client_port, uint16_t our_port, bool all) {
  DiagRequest request;
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | (all ? NLM_F_DUMP : 0));
  request.body.sdiag_family = family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = ~0U;
  request.body.id.idiag_sport = htons(client_port);
  request.body.id.idiag_dport = htons(our_port);
  request.body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  if (family == AF_INET) {
    request.body.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
    request.body.id.idiag_dst[0] = htonl(INADDR_LOOPBACK);
  } else {
    request.body.id.idiag_src[3] = htonl(1);  // ::1
    request.body.id.idiag_dst[3] = htonl(1);
  }
  return request;
}

// A listener or a closed connection without an owner (inode 0) is not what was asked for.
bool matches(const inet_diag_msg& message, uint16_t client_port, uint16_t our_port) {
  return message.id.idiag_sport == htons(client_port) &&
         message.id.idiag_dport == htons(our_port) && message.idiag_inode != 0;
}

Result<SocketInfo> ask_kernel(int fd, const DiagRequest& request, uint16_t client_port,
                              uint16_t our_port) {
  if (::send(fd, &request, sizeof request, 0) != static_cast<ssize_t>(sizeof request))
    return fail(Code::system, "socket_owner.send", errno);
  alignas(nlmsghdr) std::array<uint8_t, 16 * 1024> buffer{};
  std::optional<SocketInfo> found;
  // A dump comes in several datagrams; the count is a bound against a kernel that never says done.
  for (int datagram = 0; datagram < 4096; ++datagram) {
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(Code::system, "socket_owner.recv", errno);
    size_t at = 0;
    const auto size = static_cast<size_t>(got);
    while (at + sizeof(nlmsghdr) <= size) {
      nlmsghdr header{};
      std::memcpy(&header, buffer.data() + at, sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > size - at) break;
      if (header.nlmsg_type == NLMSG_DONE || header.nlmsg_type == NLMSG_ERROR) {
        if (found) return *found;
        return fail(Code::not_found, "socket_owner.netlink");
      }
      if (header.nlmsg_len >= NLMSG_LENGTH(sizeof(inet_diag_msg))) {
        inet_diag_msg message{};
        std::memcpy(&message, buffer.data() + at + NLMSG_HDRLEN, sizeof message);
        if (matches(message, client_port, our_port))
          found = SocketInfo{message.idiag_inode, message.idiag_uid};
        if ((request.header.nlmsg_flags & NLM_F_DUMP) == 0) {
          if (found) return *found;
          return fail(Code::not_found, "socket_owner.netlink");
        }
      }
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
  }
  return fail(Code::too_large, "socket_owner.netlink");
}

// "0100007F:1F91": host order hex, port last.
std::optional<uint16_t> port_of(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  uint16_t port = 0;
  const auto [end, error] =
      std::from_chars(address.data() + colon + 1, address.data() + address.size(), port, 16);
  if (error != std::errc() || end != address.data() + address.size()) return std::nullopt;
  return port;
}

std::optional<SocketInfo> search_table(const char* file, uint16_t client_port, uint16_t our_port) {
  std::ifstream table(file);
  std::string line;
  std::getline(table, line);  // headings
  while (std::getline(table, line)) {
    // sl local rem st queues timer retransmits uid timeout inode (proc(5))
    std::istringstream words(line);
    std::string slot, local, remote, state, queues, timer, retransmits, timeout;
    SocketInfo info;
    if (!(words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> info.uid >>
          timeout >> info.inode))
      continue;
    if (port_of(local) == client_port && port_of(remote) == our_port && info.inode != 0)
      return info;
  }
  return std::nullopt;
}

bool holds(int64_t pid, const std::string& wanted) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  const Folder folder(::opendir(path.c_str()));
  if (folder == nullptr) return false;
  std::array<char, 64> target{};
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    const ssize_t length =
        ::readlinkat(::dirfd(folder.get()), entry->d_name, target.data(), target.size());
    if (length > 0 && std::string_view(target.data(), static_cast<size_t>(length)) == wanted)
      return true;
  }
  return false;
}

// Newest first: clients are usually younger than desktops and daemons.
std::vector<int64_t> processes_of(uid_t uid) {
  std::vector<int64_t> pids;
  const Folder proc(::opendir("/proc"));
  if (proc == nullptr) return pids;
  while (const dirent* entry = ::readdir(proc.get())) {
    const std::string_view name = entry->d_name;
    int64_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    struct stat info{};
    if (::fstatat(::dirfd(proc.get()), entry->d_name, &info, 0) != 0 || info.st_uid != uid)
      continue;
    pids.push_back(pid);
  }
  std::sort(pids.begin(), pids.end(), std::greater<>());
  return pids;
}

// A child may have inherited the descriptor; the one that opened it is the eldest holder.
int64_t eldest_holder(int64_t pid, const std::string& wanted) {
  for (int i = 0; i < kMaxParents; ++i) {
    const auto stat = read_process_stat(pid);
    if (!stat || stat->parent_pid <= 1 || !holds(stat->parent_pid, wanted)) break;
    pid = stat->parent_pid;
  }
  return pid;
}

}  // namespace

Result<SocketInfo> find_socket_by_netlink(uint16_t client_port, uint16_t our_port) {
  const Descriptor socket(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (socket.get() < 0) return fail(Code::system, "socket_owner.socket", errno);
  // The kernel answers within the send; this is for one that does not answer at all.
  const timeval patience{0, 100'000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  auto found = ask_kernel(socket.get(), make_request(AF_INET, client_port, our_port, false),
                          client_port, our_port);
  if (!found && found.error().code == Code::not_found)
    found = ask_kernel(socket.get(), make_request(AF_INET6, client_port, our_port, false),
                       client_port, our_port);
  // A client may have bound itself to another address of 127.0.0.0/8.
  if (!found && found.error().code == Code::not_found)
    found = ask_kernel(socket.get(), make_request(AF_INET, client_port, our_port, true),
                       client_port, our_port);
  return found;
}

Result<SocketInfo> find_socket_in_proc(uint16_t client_port, uint16_t our_port) {
  for (const char* file : {"/proc/net/tcp", "/proc/net/tcp6"})
    if (const auto found = search_table(file, client_port, our_port)) return *found;
  return fail(Code::not_found, "socket_owner.proc");
}

Result<SocketInfo> find_socket(uint16_t client_port, uint16_t our_port) {
  auto found = find_socket_by_netlink(client_port, our_port);
  if (found || found.error().code == Code::not_found) return found;
  return find_socket_in_proc(client_port, our_port);  // no sock_diag here: some sandboxes
}

Result<Owner> SocketOwner::find(uint16_t client_port, uint16_t our_port,
                                std::chrono::milliseconds budget) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + budget;
  const auto socket = find_socket(client_port, our_port);
  if (!socket) return std::unexpected(socket.error());
  if (socket->uid != ::geteuid()) return fail(Code::refused, "socket_owner.uid", socket->uid);

  const std::string wanted = "socket:[" + std::to_string(socket->inode) + "]";
  std::vector<Owner> recent;
  {
    const std::lock_guard lock(mutex_);
    recent = recent_;
  }
  for (const Owner& owner : recent) {
    const auto stat = read_process_stat(owner.pid);
    if (!stat || stat->start_time != owner.start_time || !holds(owner.pid, wanted)) continue;
    remember(owner);
    return owner;
  }
  for (const int64_t pid : processes_of(socket->uid)) {
    if (std::chrono::steady_clock::now() > deadline)
      return fail(Code::timeout, "socket_owner.scan");
    if (!holds(pid, wanted)) continue;
    const int64_t eldest = eldest_holder(pid, wanted);
    const auto stat = read_process_stat(eldest);
    if (!stat) return fail(Code::not_found, "socket_owner.vanished");
    const Owner owner{eldest, stat->start_time, socket->uid};
    remember(owner);
    return owner;
  }
  return fail(Code::not_found, "socket_owner.scan");
}

void SocketOwner::remember(const Owner& owner) {
  const std::lock_guard lock(mutex_);
  std::erase_if(recent_, [&](const Owner& known) { return known.pid == owner.pid; });
  recent_.insert(recent_.begin(), owner);
  if (recent_.size() > kMaxRecent) recent_.resize(kMaxRecent);
}

}  // namespace hm::attribution
