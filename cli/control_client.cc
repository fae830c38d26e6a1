#include "cli/control_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/clock.h"
#include "common/base/descriptor.h"
#include "common/wire/control_message.h"

namespace hm::cli {
namespace {

class Deadline {
 public:
  explicit Deadline(int64_t timeout_ms) : end_us_(system_clock().steady_us() + timeout_ms * 1000) {}
  [[nodiscard]] int left_ms() const {
    const int64_t left = (end_us_ - system_clock().steady_us() + 999) / 1000;
    return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  }

 private:
  int64_t end_us_;
};

Result<void> wait_for(int fd, short events, const Deadline& deadline) {
  while (true) {
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, deadline.left_ms());
    if (ready > 0) return {};
    if (ready == 0) return fail(Code::timeout, "control_client.wait");
    if (errno != EINTR) return fail(Code::system, "control_client.wait", errno);
  }
}

std::unexpected<Error> connect_failure(int error) {
  if (error == ENOENT || error == ENOTDIR)
    return fail(Code::not_found, "control_client.connect", error);
  if (error == ECONNREFUSED) return fail(Code::refused, "control_client.connect", error);
  if (error == EACCES || error == EPERM)
    return fail(Code::permission, "control_client.connect", error);
  return fail(Code::system, "control_client.connect", error);
}

Result<Descriptor> connect_to(const sockaddr* address, socklen_t length, const Deadline& deadline) {
  Descriptor fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail(Code::system, "control_client.socket", errno);
  // A unix socket whose backlog is full says EAGAIN and has to be asked again.
  while (::connect(fd.get(), address, length) != 0) {
    if (errno == EAGAIN) {
      if (deadline.left_ms() == 0) return fail(Code::timeout, "control_client.connect");
      ::poll(nullptr, 0, 5);
      continue;
    }
    if (errno != EINPROGRESS && errno != EINTR) return connect_failure(errno);
    if (auto ready = wait_for(fd.get(), POLLOUT, deadline); !ready)
      return std::unexpected(ready.error());
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return connect_failure(error);
    break;
  }
  return fd;
}

}  // namespace

bool fits_socket_path(const std::filesystem::path& socket) {
  return socket.native().size() < sizeof(sockaddr_un::sun_path);
}

Result<std::string> ask_control(const std::filesystem::path& socket, std::string_view request,
                                int64_t timeout_ms, size_t max_bytes) {
  if (!fits_socket_path(socket)) return fail(Code::too_large, "control_client.path");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());

  const Deadline deadline(timeout_ms);
  auto fd = connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address, deadline);
  if (!fd) return std::unexpected(fd.error());

  const std::string line = wire::control_request(request) + "\n";
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t sent = ::send(fd->get(), left.data(), left.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      left.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      if (auto ready = wait_for(fd->get(), POLLOUT, deadline); !ready)
        return std::unexpected(ready.error());
    } else if (errno != EINTR) {
      return fail(errno == EPIPE ? Code::closed : Code::system, "control_client.send", errno);
    }
  }

  std::string answer;
  char buffer[16 * 1024];
  while (true) {
    const ssize_t got = ::recv(fd->get(), buffer, sizeof buffer, 0);
    if (got > 0) {
      if (answer.size() + static_cast<size_t>(got) > max_bytes)
        return fail(Code::too_large, "control_client.answer");
      answer.append(buffer, static_cast<size_t>(got));
    } else if (got == 0) {
      break;
    } else if (errno == EAGAIN) {
      if (auto ready = wait_for(fd->get(), POLLIN, deadline); !ready)
        return std::unexpected(ready.error());
    } else if (errno != EINTR) {
      return fail(errno == ECONNRESET ? Code::closed : Code::system, "control_client.receive",
                  errno);
    }
  }
  if (answer.empty()) return fail(Code::closed, "control_client.answer");
  return answer;
}

bool answers_ping(const std::filesystem::path& socket, int64_t timeout_ms) {
  return ask_control(socket, "ping", timeout_ms, 4096).has_value();
}

bool port_accepts(uint16_t port, int64_t timeout_ms) {
  if (port == 0) return false;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return connect_to(reinterpret_cast<const sockaddr*>(&address), sizeof address,
                    Deadline(timeout_ms))
      .has_value();
}

}  // namespace hm::cli
