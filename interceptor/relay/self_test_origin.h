// The origin behind the reserved name selftest.halton-meter.invalid (ask.h): this process itself.
// A call for that name takes the way of every call - edge, ask, dial, two handshakes, tap, row -
// and ends here, on a loopback port that is open while such a call is on its way. The answer is
// that of a counting call: a row, and no cost. Its certificate comes from our own CA, which nothing
// else trusts as an origin's.
//
// Owned by the app; relay-loop thread only. Loop, contexts and leaves must outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "common/net/tcp_listener.h"
#include "interceptor/tls/contexts.h"
#include "interceptor/tls/leaf_cache.h"

namespace hm::relay {

class SelfTestOrigin {
 public:
  // `trust` verifies against our CA alone.
  SelfTestOrigin(net::Loop& loop, const tls::ClientSideContext& serving, tls::LeafCache& leaves,
                 std::unique_ptr<tls::OriginSideContext> trust);
  ~SelfTestOrigin();
  SelfTestOrigin(const SelfTestOrigin&) = delete;
  SelfTestOrigin& operator=(const SelfTestOrigin&) = delete;

  // Where to dial. It takes one connection, then closes its door.
  [[nodiscard]] Result<uint16_t> open();
  [[nodiscard]] const tls::OriginSideContext& trust() const { return *trust_; }

 private:
  class Visit;
  void on_accept(net::TcpSocket socket);
  void bury(uint64_t id);

  net::Loop& loop_;
  const tls::ClientSideContext& serving_;
  tls::LeafCache& leaves_;
  std::unique_ptr<tls::OriginSideContext> trust_;
  net::TcpListener listener_;
  uint16_t port_ = 0;  // 0: the door is closed
  std::map<uint64_t, std::unique_ptr<Visit>> visits_;
  uint64_t next_id_ = 1;
};

// The answer to one request head and body, or nothing while it is not whole. Pure, for tests. The
// header X-Halton-Selftest comes back as the provider's request id, so that its sender finds the
// row.
[[nodiscard]] std::string self_test_answer(std::string_view request);

}  // namespace hm::relay
