// What the tests of dialing share: a callback that remembers, addresses, a listener that is silent.
#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "common/net/dialer.h"
#include "common/net/sockaddr.h"
#include "tests/unit/net/net_support.h"

namespace hm::net::test {

struct Dialled {
  std::optional<Result<TcpSocket>> result;
  int calls = 0;
  Dialer::Callback callback() {
    return [this](Result<TcpSocket> r) {
      ++calls;
      result = std::move(r);
    };
  }
  [[nodiscard]] bool ok() const { return result && result->has_value(); }
  [[nodiscard]] Code code() const { return result->error().code; }
};

inline SocketAddress local(uint16_t port, const char* address = "127.0.0.1") {
  return *parse_address(address, port);
}

// A listener whose backlog is full: connecting to it neither works nor fails.
struct BlackHole {
  Fd server;
  uint16_t port = 0;
  std::vector<Fd> fillers;
  BlackHole() {
    std::tie(server, port) = listening(0);
    for (int i = 0; i < 8; ++i) {
      Fd filler(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      const sockaddr_in address = loopback(port);
      connect(filler.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
      fillers.push_back(std::move(filler));
    }
  }
};

}  // namespace hm::net::test
