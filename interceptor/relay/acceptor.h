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

  // `kept`: a socket that listens already, or -1. Taken: the next free ports above, at most
  // `attempts`. Port 0 takes any.
  [[nodiscard]] Result<uint16_t> listen(int kept, uint16_t port, int attempts);
  [[nodiscard]] int listening() const { return listener_.file_descriptor(); }
  // Takes no new call: the door stays open and says 503. Sessions end as their calls do.
  void turn_away() { metering_ = false; }
  // The door is a successor's now, or nobody's. What came in before is metered to its end.
  void close_door() { listener_.close(); }
  // Ends connections on which nothing has happened for `idle_us`. Again and again.
  void drain(int64_t idle_us);

  [[nodiscard]] size_t sessions() const { return sessions_.size(); }

 private:
  void on_accept(net::TcpSocket socket);
  void on_session_over(uint64_t id) override;
  void look_up_client(uint64_t id, uint16_t client_port, uint16_t our_port) override;
  [[nodiscard]] bool metering() const override { return metering_ && context_.sink.has_room(); }

  RelayContext& context_;
  net::TcpListener listener_;
  std::map<uint64_t, std::unique_ptr<Session>> sessions_;
  uint64_t next_id_ = 1;
  int64_t drained_at_us_ = 0;
  int64_t attentive_since_us_ = 0;
  bool metering_ = true;
};

}  // namespace hm::relay
