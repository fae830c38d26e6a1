// One connection from the edge: reads the ask, dials the origin, shakes hands with both sides and
// relays the same bytes both ways, with a tap that looks. Drives a SessionMachine.
//
// Owned by the Acceptor; relay-loop thread only. Everything in the RelayContext must outlive it. A
// session that is over stays in the table until its client is known (its rows wait for that), at
// most as long as the attributor takes to answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/byte_queue.h"
#include "common/net/dialer.h"
#include "common/net/timer.h"
#include "common/wire/connect_head.h"
#include "interceptor/meter/connection_meter.h"
#include "interceptor/relay/relay_context.h"
#include "interceptor/relay/session_machine.h"
#include "interceptor/relay/side.h"
#include "interceptor/relay/tap.h"

namespace hm::relay {

class Session final : private Side::Owner, private RecordSink {
 public:
  class Owner {
   public:
    // The session wants to go; bury it.
    virtual void on_session_over(uint64_t id) = 0;
    // Asks the attributor who owns the connection client_port -> our_port; the answer comes back
    // through Session::on_attributed.
    virtual void look_up_client(uint64_t id, uint16_t client_port, uint16_t our_port) = 0;
    // May calls be metered now? A knock is answered with this. Not when their rows could not be
    // taken: the edge counts them, in a ledger that always has room.
    [[nodiscard]] virtual bool metering() const = 0;

   protected:
    ~Owner() = default;
  };

  Session(RelayContext& context, Owner& owner, uint64_t id);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start(net::TcpSocket socket);
  // The table is full: whatever this connection asks for is answered 503, so that the edge goes raw
  // without closing its gate.
  void turn_away() { turned_away_ = true; }
  void on_attributed(const Attribution& attribution);
  // Planned stop: a connection that has been idle for that long, as seen by a process that has been
  // attentive since then, ends in order now; a busy one when its calls are over.
  void drain(int64_t idle_us, int64_t attentive_since_us);

  [[nodiscard]] State state() const { return machine_.state(); }

 private:
  // Side::Owner
  void on_side_bytes(Side& side, Bytes bytes) override;
  void on_side_handshake(Side& side, tls::Engine::Handshake progress) override;
  void on_side_plaintext(Side& side, Bytes plaintext) override;
  void on_side_close_notify(Side& side) override;
  void on_side_fin(Side& side) override;
  void on_side_drained(Side& side) override;
  void on_side_broken(Side& side, Error error) override;

  // RecordSink, between the tap and the store: rows wait for the attribution.
  bool push(CallRecord&& record) noexcept override;
  bool push(MissRecord&& record) noexcept override;

  void apply(Event event);
  void read_ask(Bytes bytes);
  void take_ask(const wire::ConnectHead& head);
  void answer_knock();
  [[nodiscard]] bool answer_ask(std::string_view reply);
  void dial();
  void redial();
  void on_dialled(Result<net::TcpSocket> socket);
  void await_hello();
  void save_hello(Bytes bytes);
  void judge_hello();
  void shake_origin();
  void begin_relay();
  void splice();
  void refuse();
  void finish();
  void on_client_handshake(tls::Engine::Handshake progress);
  void on_origin_handshake(tls::Engine::Handshake progress);
  void on_client_failed();
  void note_refusal(std::string reason);
  void note_silent_end(const char* reason);
  void note_lost_patience();
  void on_timeout();
  void doubt(const char* reason);
  void forward(Side& to, Bytes bytes);
  void end_direction(Side& from);
  void end_if_over();
  void record_miss(const char* reason, std::string detail = {});
  void note_flight(int64_t about_to_begin = 0);
  void enter_unmetered();
  void leave_when_known();
  [[nodiscard]] bool carrying() const;  // relaying or raw: bytes go both ways
  [[nodiscard]] Side& other(Side& side) { return &side == &client_ ? origin_ : client_; }

  RelayContext& context_;
  Owner& owner_;
  const uint64_t id_;
  SessionMachine machine_;
  net::Timer deadline_;
  net::Dialer dialer_;
  Side client_;
  Side origin_;
  wire::ConnectHeadReader ask_reader_;
  ByteQueue saved_;  // the client's bytes until the way is known
  uint16_t port_ = 443;
  const meter::Provider* provider_ = nullptr;
  meter::ConnectionFacts facts_;
  std::string hello_shape_;
  std::unique_ptr<Tap> tap_;
  const char* miss_reason_ = nullptr;  // why this connection is raw; written when it ends
  std::string miss_detail_;
  Error dial_error_;
  int64_t client_port_ = 0;
  uint16_t our_port_ = 0;
  int64_t started_wall_us_ = 0;
  int64_t started_us_ = 0;
  int64_t ready_us_ =
      0;  // when our ServerHello went out, then when the client's handshake was done
  int64_t last_bytes_us_ = 0;
  int64_t hello_sent_us_ = 0;  // to the origin
  int64_t bytes_up_ = 0;
  int64_t bytes_down_ = 0;
  bool client_spoke_ = false;         // application data came from the client
  bool client_said_goodbye_ = false;  // its close_notify came
  bool refused_ = false;              // told the trust memory
  bool attribution_asked_ = false;
  bool attributed_ = false;
  bool turned_away_ = false;
  bool client_answered_ = false;  // the 200 went out
  bool interim_sent_ = false;     // the 102 before it
  FlightLog::Entry flight_ = FlightLog::kNone;
  int64_t pushed_ = 0;               // rows of this connection
  std::vector<CallRecord> waiting_;  // bounded; beyond it rows go with what is known
};

}  // namespace hm::relay
