// The door at 127.0.0.1:8090: accepts connections of this user, keeps the table of sessions, says
// 503 when it is full or draining, so that the edge goes raw.
//
// Owned by the app; relay-loop thread only. The context must outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "common/net/loop.h"
#include "common/net/tcp_listener.h"
#include "interceptor/relay/session.h"

namespace hm::relay {

class Acceptor final : private Session::Owner {
 public:
  explicit Acceptor(RelayContext& context);
  ~Acceptor();

  // Taken: the next free ports above, at most `attempts`. Port 0 takes any.
  [[nodiscard]] Result<uint16_t> listen(uint16_t port, int attempts);
  // False: asks and knocks are answered 503 (the writer is dead, the app is draining).
  void set_metering(bool metering) { metering_ = metering; }
  // Takes no new call; sessions end as their calls do. May be called again and again.
  void drain();

  [[nodiscard]] size_t sessions() const { return sessions_.size(); }

 private:
  void on_accept(net::TcpSocket socket);
  void on_session_over(uint64_t id) override;
  void look_up_client(uint64_t id, uint16_t client_port, uint16_t our_port) override;
  [[nodiscard]] bool metering() const override { return metering_; }

  RelayContext& context_;
  net::TcpListener listener_;
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  uint64_t next_id_ = 1;
  bool metering_ = true;
};

}  // namespace hm::relay
