#include "common/net/tcp_socket.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "common/net/sockaddr.h"
#include "common/net/uv_handle.h"

namespace hm::net {

namespace {

int descriptor_of(const uv_tcp_t* handle) {
  uv_os_fd_t descriptor = -1;
  if (handle != nullptr) uv_fileno(reinterpret_cast<const uv_handle_t*>(handle), &descriptor);
  return descriptor;
}

// One for each thread that accepts, kept open: also when no descriptor is left, a stranger must be
// known as one.
int diagnosis_socket() {
  struct Owner {
    int descriptor =
        socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    ~Owner() { ::close(descriptor); }
  };
  thread_local Owner owner;
  if (owner.descriptor < 0)
    owner.descriptor =
        socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
  return owner.descriptor;
}

// The kernel answers a lookup inside the send, so the receive below never waits.
bool ask_kernel(const inet_diag_req_v2& question, inet_diag_msg& answer) {
  const int netlink = diagnosis_socket();
  if (netlink < 0) return false;

  struct {
    nlmsghdr head;
    inet_diag_req_v2 body;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.head.nlmsg_flags = NLM_F_REQUEST;
  static thread_local uint32_t questions = 0;
  request.head.nlmsg_seq = ++questions;
  request.body = question;

  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (sendto(netlink, &request, sizeof request, 0, reinterpret_cast<const sockaddr*>(&kernel),
             sizeof kernel) != static_cast<ssize_t>(sizeof request))
    return false;
  char reply[1024];
  nlmsghdr head{};
  ssize_t got = -1;
  do {  // past what a former question left
    got = recv(netlink, reply, sizeof reply, 0);
    if (got < static_cast<ssize_t>(sizeof head)) return false;
    std::memcpy(&head, reply, sizeof head);
  } while (head.nlmsg_seq != questions);

  if (got < static_cast<ssize_t>(NLMSG_LENGTH(sizeof answer))) return false;
  if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY) return false;  // NLMSG_ERROR: no such socket
  std::memcpy(&answer, reply + NLMSG_HDRLEN, sizeof answer);
  return true;
}

}  // namespace

void tune(int descriptor) {
  const auto set = [descriptor](int level, int option, int value) {
    setsockopt(descriptor, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdleS);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveIntervalS);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
}

void tune(const uv_tcp_t* handle) {
  tune(descriptor_of(handle));
}

TcpSocket& TcpSocket::operator=(TcpSocket&& other) noexcept {
  if (this != &other) {
    Handle<uv_tcp_t>(release()).reset();
    handle_ = other.release();
  }
  return *this;
}

TcpSocket::~TcpSocket() {
  Handle<uv_tcp_t>(release()).reset();
}

uv_tcp_s* TcpSocket::release() {
  return std::exchange(handle_, nullptr);
}

Endpoint TcpSocket::local() const {
  return local_address(descriptor_of(handle_)).endpoint();
}
Endpoint TcpSocket::peer() const {
  return peer_address(descriptor_of(handle_)).endpoint();
}

std::optional<uint32_t> peer_uid(const TcpSocket& accepted) {
  const int descriptor = descriptor_of(accepted.handle());
  // The client's own socket is asked for: what is remote to us is local to it.
  const SocketAddress source = peer_address(descriptor).unmapped();
  const SocketAddress destination = local_address(descriptor).unmapped();
  if (source.family() == 0 || source.family() != destination.family()) return std::nullopt;

  inet_diag_req_v2 question{};
  question.sdiag_family = static_cast<uint8_t>(source.family());
  question.sdiag_protocol = IPPROTO_TCP;
  question.idiag_states = ~0U;
  question.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
  question.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  if (source.family() == AF_INET) {
    question.id.idiag_sport = source.v4().sin_port;
    question.id.idiag_dport = destination.v4().sin_port;
    std::memcpy(question.id.idiag_src, &source.v4().sin_addr, 4);
    std::memcpy(question.id.idiag_dst, &destination.v4().sin_addr, 4);
  } else {
    question.id.idiag_sport = source.v6().sin6_port;
    question.id.idiag_dport = destination.v6().sin6_port;
    std::memcpy(question.id.idiag_src, &source.v6().sin6_addr, 16);
    std::memcpy(question.id.idiag_dst, &destination.v6().sin6_addr, 16);
  }

  inet_diag_msg answer{};
  if (!ask_kernel(question, answer)) return std::nullopt;
  // The lookup falls back to a listener on that port, and a socket that no process holds any more
  // (inode 0: TIME_WAIT, orphans) is reported as root's. Neither is our client.
  if (answer.idiag_state == TCP_LISTEN || answer.idiag_inode == 0) return std::nullopt;
  if (answer.id.idiag_sport != question.id.idiag_sport ||
      answer.id.idiag_dport != question.id.idiag_dport)
    return std::nullopt;
  return answer.idiag_uid;
}

}  // namespace hm::net
