#include "common/base/port_holder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace hm;

TEST_CASE("the holder of a port is named, and nobody for a free one", "[port_holder]") {
  const int family = GENERATE(AF_INET, AF_INET6);
  const int listening = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(listening >= 0);
  sockaddr_storage address{};
  address.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET)
    reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else
    reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
  socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (bind(listening, reinterpret_cast<sockaddr*>(&address), length) != 0) {
    close(listening);  // a machine without IPv6
    return;
  }
  REQUIRE(listen(listening, 1) == 0);
  REQUIRE(getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const uint16_t port = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);

  const auto holder = port_holder(port);
  REQUIRE(holder);
  CHECK(holder->pid == getpid());
  CHECK(holder->uid == static_cast<int64_t>(getuid()));
  CHECK(holder->name == "unit_base");
  CHECK(describe_port_holder(port) == "unit_base (PID " + std::to_string(getpid()) + ")");

  CHECK(describe(PortHolder{0, 33, ""}) == "a process of user 33");

  close(listening);
  CHECK_FALSE(port_holder(port));
  CHECK(describe_port_holder(port) == "another program");
}
