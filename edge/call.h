// One client connection: reads its head, drives a CallMachine, ends as a tunnel. Owned by the
// EdgeApp, loop thread; the context must outlive it. The client is answered only when the way is
// known.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/ask/ask.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/net/dialer.h"
#include "common/net/loop.h"
#include "common/net/process_watch.h"
#include "common/net/tcp_stream.h"
#include "common/net/timer.h"
#include "common/net/tunnel.h"
#include "common/wire/connect_head.h"
#include "common/wire/host_match.h"
#include "edge/call_machine.h"
#include "edge/health_gate.h"
#include "edge/knocker.h"
#include "edge/miss_ledger.h"

namespace hm::edge {

struct EdgeContext {
  net::Loop& loop;
  const Clock& clock;
  const config::Config& config;
  const net::DialOptions& dial_options;
  const wire::HostTable& hosts;
  HealthGate& gate;
  Knocker& knocker;
  MissLedger& ledger;
  net::ProcessWatch& watch;
  uint16_t edge_port = 0;
};

class Call final : private net::TcpStream::Owner, private net::Tunnel::Owner {
 public:
  class Owner {
   public:
    virtual void on_call_over(uint64_t id) = 0;  // bury it

   protected:
    ~Owner() = default;
  };

  Call(EdgeContext& context, Owner& owner, uint64_t id);
  void start(net::TcpSocket socket);
  // The interceptor may be gone: a metered call whose far side has ended is looked into now, not
  // only when its client gets round to closing.
  void on_gate_closed();
  // The edge stops: what this call did so far goes into the ledger now.
  void write_off();

 private:
  // TcpStream::Owner, while the head is read and the way is looked for
  void on_read(net::TcpStream& stream, Bytes bytes) override;
  void on_eof(net::TcpStream& stream) override;
  void on_drained(net::TcpStream&) override {}
  void on_broken(net::TcpStream& stream, Error error) override;
  // Tunnel::Owner
  void on_tunnel_end(net::Tunnel& tunnel, const net::TunnelEnd& end) override;
  void on_far_lost(net::Tunnel& tunnel, Error error) override;

  void apply(Event event);
  void route();
  void ask();
  void on_asked(AskResult result);
  void ask_failed(const char* reason);
  void dial();
  [[nodiscard]] int64_t dial_limit_ms() const;
  void on_dialled(Result<net::TcpSocket> socket);
  void on_unreachable(Error error);
  void splice(net::TcpSocket far, bool metered);
  void turn_down(std::string_view reply);
  void answer_and_linger(std::string_view reply);
  void on_deadline();
  void check_interceptor(bool then_end);
  void knock_for_process(bool then_end);
  [[nodiscard]] Miss miss(const net::TunnelEnd& end) const;
  void enter_miss();
  void write_miss(const net::TunnelEnd& end);
  void finish();

  EdgeContext& context_;
  Owner& owner_;
  const uint64_t id_;
  CallMachine machine_;
  net::TcpStream client_;
  net::Timer deadline_;
  net::Dialer dialer_;
  Ask ask_;
  net::Tunnel tunnel_;
  wire::ConnectHeadReader reader_;
  net::TcpSocket far_;     // the next far side, between "connected" and the splice
  std::string early_;      // bytes of the client behind its head
  std::string far_early_;  // bytes of the far side behind its answer
  std::string call_id_;
  std::string_view refusal_ = wire::bad_gateway_reply();
  const char* miss_reason_ = nullptr;  // an LLM call that goes unmetered, and why
  int64_t started_us_ = 0;
  int64_t started_wall_us_ = 0;
  int64_t process_ = 0;  // the interceptor that has this call, as far as known
  uint16_t client_port_ = 0;
  bool llm_ = false;
  bool second_try_ = false;  // the interceptor had its time for it
  bool client_eof_ = false;
  MissLedger::Entry entry_ = MissLedger::kNone;  // in the ledger while the raw tunnel is open
  bool missed_ = false;                          // this call is in the ledger, completed
  bool lingering_ = false;  // answered; waiting for the client to read it and go
  bool ending_ = false;     // over, as soon as it is known what became of the interceptor
  bool settling_ = false;   // over; waiting for what became of the interceptor
};

}  // namespace hm::edge
