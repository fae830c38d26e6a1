#include "interceptor/attribution/socket_owner.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "common/base/descriptor.h"
#include "common/base/proc_sockets.h"
#include "common/base/process_stat.h"
#include "interceptor/attribution/client_facts.h"

namespace hm::attribution {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t kMaxRecent = 64;
constexpr int kMaxParents = 4;

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

// A child may have inherited the descriptor; the one that opened it is the eldest holder.
int64_t eldest_holder(int64_t pid, uint64_t inode) {
  for (int i = 0; i < kMaxParents; ++i) {
    const auto stat = read_process_stat(pid);
    if (!stat || stat->parent_pid <= 1 || !process_holds(stat->parent_pid, inode)) break;
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
  const auto found = find_socket_entry([&](const SocketEntry& entry) {
    return entry.local_port == client_port && entry.remote_port == our_port && entry.inode != 0;
  });
  if (found) return SocketInfo{found->inode, found->uid};
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

  std::vector<Owner> recent;
  {
    const std::lock_guard lock(mutex_);
    recent = recent_;
  }
  for (const Owner& owner : recent) {
    const auto stat = read_process_stat(owner.pid);
    if (!stat || stat->start_time != owner.start_time || !process_holds(owner.pid, socket->inode))
      continue;
    remember(owner);
    return owner;
  }
  // A call that was over before its turn came: nobody holds the socket, and there is no need to
  // look through all processes for it.
  const auto still = find_socket(client_port, our_port);
  if (!still || still->inode != socket->inode) return fail(Code::not_found, "socket_owner.closed");
  for (const int64_t pid : processes_of(socket->uid)) {
    if (std::chrono::steady_clock::now() > deadline)
      return fail(Code::timeout, "socket_owner.scan");
    if (!process_holds(pid, socket->inode)) continue;
    const int64_t eldest = eldest_holder(pid, socket->inode);
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
