#include "common/net/sockaddr.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <cstring>

namespace hm::net {

uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET6 ? v6().sin6_port : v4().sin_port);
}

void SocketAddress::set_port(uint16_t port) {
  if (family() == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(storage).sin6_port = htons(port);
  else
    reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(port);
}

bool SocketAddress::loopback() const {
  const SocketAddress plain = unmapped();
  if (plain.family() == AF_INET) return (ntohl(plain.v4().sin_addr.s_addr) >> 24) == 127;
  return plain.family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&plain.v6().sin6_addr);
}

bool SocketAddress::this_machine() const {
  const SocketAddress plain = unmapped();
  if (plain.loopback()) return true;
  if (plain.family() == AF_INET) return plain.v4().sin_addr.s_addr == 0;
  return plain.family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&plain.v6().sin6_addr);
}

Endpoint SocketAddress::endpoint() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET)
    inet_ntop(AF_INET, &v4().sin_addr, text, sizeof text);
  else if (family() == AF_INET6)
    inet_ntop(AF_INET6, &v6().sin6_addr, text, sizeof text);
  else
    return {};
  return {text, port()};
}

SocketAddress SocketAddress::unmapped() const {
  if (family() != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6().sin6_addr)) return *this;
  SocketAddress plain;
  auto& out = reinterpret_cast<sockaddr_in&>(plain.storage);
  out.sin_family = AF_INET;
  out.sin_port = v6().sin6_port;
  std::memcpy(&out.sin_addr, v6().sin6_addr.s6_addr + 12, 4);
  return plain;
}

std::optional<SocketAddress> parse_address(std::string_view text, uint16_t port) {
  SocketAddress address;
  auto& four = reinterpret_cast<sockaddr_in&>(address.storage);
  auto& six = reinterpret_cast<sockaddr_in6&>(address.storage);
  const std::string whole(text);
  // inet_aton() takes everything up to a blank.
  const bool numeric = !whole.empty() && whole[0] >= '0' && whole[0] <= '9' &&
                       whole.find_first_not_of("0123456789abcdefABCDEFxX.") == std::string::npos;
  if (numeric && inet_aton(whole.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    return address;
  }
  const size_t percent = whole.find('%');
  if (inet_pton(AF_INET6, whole.substr(0, percent).c_str(), &six.sin6_addr) != 1)
    return std::nullopt;
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  if (percent != std::string::npos) {
    six.sin6_scope_id = if_nametoindex(whole.c_str() + percent + 1);
    if (six.sin6_scope_id == 0) return std::nullopt;
  }
  return address;
}

SocketAddress local_address(int file_descriptor) {
  SocketAddress address;
  socklen_t length = sizeof address.storage;
  if (getsockname(file_descriptor, address.raw(), &length) != 0) return {};
  return address;
}

SocketAddress peer_address(int file_descriptor) {
  SocketAddress address;
  socklen_t length = sizeof address.storage;
  if (getpeername(file_descriptor, address.raw(), &length) != 0) return {};
  return address;
}

}  // namespace hm::net
