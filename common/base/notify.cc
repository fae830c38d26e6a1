#include "common/base/notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace hm::notify {
namespace {

std::atomic<bool> muted{false};

const char* socket_path() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  const bool usable = path != nullptr && (*path == '/' || *path == '@') &&
                      std::strlen(path) < sizeof sockaddr_un{}.sun_path;
  return usable && !muted.load() ? path : nullptr;
}

bool send_with(std::string_view state, int descriptor, int64_t patience_ms) {
  const char* path = socket_path();
  if (path == nullptr) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::strlen(path);
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // abstract namespace, unix(7)
  // Opened once: whoever runs out of descriptors must still be able to tell that it lives.
  static const int kept = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int fd = kept >= 0 ? kept : ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  timeval patience{};
  patience.tv_sec = patience_ms / 1000;
  patience.tv_usec = patience_ms % 1000 * 1000;
  if (patience_ms > 0) ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);

  iovec part{};
  part.iov_base = const_cast<char*>(state.data());
  part.iov_len = state.size();
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  }
  const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | (patience_ms > 0 ? 0 : MSG_DONTWAIT));
  if (fd != kept) ::close(fd);
  return sent >= 0;
}

}  // namespace

bool send(std::string_view state, int64_t patience_ms) {
  return send_with(state, -1, patience_ms);
}

bool store(std::string_view name, int descriptor, int64_t patience_ms) {
  return send_with("FDSTORE=1\nFDNAME=" + std::string(name), descriptor, patience_ms);
}

bool forget(std::string_view name, int64_t patience_ms) {
  return send_with("FDSTOREREMOVE=1\nFDNAME=" + std::string(name), -1, patience_ms);
}

void mute(bool on) {
  muted = on;
}

bool available() {
  return socket_path() != nullptr;
}

int64_t watchdog_us() {
  const char* usec = std::getenv("WATCHDOG_USEC");
  const char* pid = std::getenv("WATCHDOG_PID");
  if (usec == nullptr) return 0;
  if (pid != nullptr && std::strtol(pid, nullptr, 10) != ::getpid()) return 0;
  return std::strtoll(usec, nullptr, 10);
}

}  // namespace hm::notify
