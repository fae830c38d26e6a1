// Private to common/net: socket addresses as values, so that nobody else casts sockaddr pointers.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/net/tcp_socket.h"

namespace hm::net {

struct SocketAddress {
  sockaddr_storage storage{};

  [[nodiscard]] const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr_in& v4() const {
    return reinterpret_cast<const sockaddr_in&>(storage);
  }
  [[nodiscard]] const sockaddr_in6& v6() const {
    return reinterpret_cast<const sockaddr_in6&>(storage);
  }
  [[nodiscard]] int family() const { return storage.ss_family; }
  [[nodiscard]] socklen_t length() const {
    return family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  }
  [[nodiscard]] uint16_t port() const;
  void set_port(uint16_t port);
  [[nodiscard]] bool loopback() const;  // 127/8, ::1, ::ffff:127/8
  // Leads to this machine: loopback, or 0.0.0.0 and ::, which connect() takes for it.
  [[nodiscard]] bool this_machine() const;
  [[nodiscard]] Endpoint endpoint() const;
  // ::ffff:a.b.c.d as a.b.c.d; others unchanged.
  [[nodiscard]] SocketAddress unmapped() const;
};

// An IPv4 or IPv6 literal, without brackets; the old spellings of IPv4 that getaddrinfo() takes
// (127.1, 2130706433, 0x7f.0.0.1); a zone (fe80::1%eth0) is allowed.
[[nodiscard]] std::optional<SocketAddress> parse_address(std::string_view text, uint16_t port);

// Of an open socket; family 0 when the kernel does not say.
[[nodiscard]] SocketAddress local_address(int file_descriptor);
[[nodiscard]] SocketAddress peer_address(int file_descriptor);

}  // namespace hm::net
