// A tunnel between two descriptors of the test, and an owner that remembers what it was told.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/net/tunnel.h"
#include "tests/unit/net/net_support.h"

namespace hm::net::test {

struct Watcher final : Tunnel::Owner {
  std::optional<TunnelEnd> end;
  int ends = 0;
  int lost = 0;
  Error lost_error;
  std::function<void()> on_lost_hook;
  std::function<void()> on_end_hook;
  void on_tunnel_end(Tunnel& /*tunnel*/, const TunnelEnd& what) override {
    end = what;
    ++ends;
    if (on_end_hook) on_end_hook();
  }
  void on_far_lost(Tunnel& /*tunnel*/, Error error) override {
    ++lost;
    lost_error = error;
    if (on_lost_hook) on_lost_hook();
  }
};

// A tunnel between two descriptors of the test.
struct Rig {
  explicit Rig(Loop& loop_in, int receive_buffer = 0)
      : loop(loop_in), tunnel(std::make_unique<Tunnel>(loop, watcher)) {
    Pair near_pair = make_pair(loop, receive_buffer);
    Pair far_pair = make_pair(loop, receive_buffer);
    client = std::move(near_pair.outside);
    server = std::move(far_pair.outside);
    near = std::move(near_pair.inside);
    far = std::move(far_pair.inside);
  }
  void start(std::string_view up = {}, std::string_view down = {}) {
    tunnel->start(std::move(near), std::move(far), as_bytes(up), as_bytes(down));
  }
  bool until(const std::function<bool()>& condition) { return run_until(loop, condition); }
  bool server_gets(std::string_view text) {
    std::string got;
    return until([&] { return (got += server.take()) == text; });
  }
  bool client_gets(std::string_view text) {
    std::string got;
    return until([&] { return (got += client.take()) == text; });
  }
  bool ended() {
    return until([&] { return watcher.end.has_value(); });
  }

  Loop& loop;
  Watcher watcher;
  std::unique_ptr<Tunnel> tunnel;
  Fd client;
  Fd server;
  TcpSocket near;
  TcpSocket far;
};

inline bool aborted(const Fd& fd) {
  bool reset = false;
  fd.take(nullptr, &reset);
  return reset;
}

}  // namespace hm::net::test
