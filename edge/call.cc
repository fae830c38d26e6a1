#include "edge/call.h"

#include <algorithm>
#include <utility>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/base/random_id.h"
#include "common/wire/ask.h"
#include "common/wire/first_flight.h"

namespace hm::edge {
namespace {

constexpr size_t kFirstFlightBytes = 64 * 1024;
// The interceptor dials within its own limit and then says 200 or 502; a little patience on top.
constexpr int64_t kFinalAnswerSlackMs = 2'000;
constexpr int64_t kLingerMs = 1'000;
constexpr int64_t kSecondTryMs = 2'000;
constexpr int64_t kSettleMs = 300;

}  // namespace

Call::Call(EdgeContext& context, Owner& owner, uint64_t id)
    : context_(context),
      owner_(owner),
      id_(id),
      client_(context.loop, *this),
      deadline_(context.loop, [this] { on_deadline(); }),
      dialer_(context.loop, context.dial_options),
      ask_(context.loop, context.dial_options),
      tunnel_(context.loop, *this) {}

void Call::start(net::TcpSocket socket) {
  started_us_ = context_.clock.steady_us();
  started_wall_us_ = context_.clock.wall_us();
  client_port_ = socket.peer().port;
  client_.adopt(std::move(socket));
  deadline_.start_once(context_.config.edge.head_timeout_ms);
  client_.start_reading();
}

void Call::apply(Event event) {
  switch (machine_.on(event)) {
    case Command::none:
      return;
    case Command::ask:
      return ask();
    case Command::dial:
      return dial();
    case Command::splice_metered:
      return splice(std::move(far_), true);
    case Command::splice_raw:
      return splice(std::move(far_), false);
    case Command::replace_far:
      enter_miss();
      return tunnel_.replace_far(std::move(far_));
    case Command::refuse:
      return answer_and_linger(refusal_);
    case Command::close:
      return finish();
  }
}

// --- the head ----------------------------------------------------------------------------------

void Call::on_read(net::TcpStream&, Bytes bytes) {
  if (lingering_) return;  // in between, reading is paused
  size_t used = 0;
  switch (reader_.feed(bytes, used)) {
    case wire::HeadState::more:
      return;
    case wire::HeadState::failed: {
      const bool large = reader_.failure() == wire::HeadFailure::too_large;
      return turn_down(large ? wire::head_too_large_reply() : wire::bad_request_reply());
    }
    case wire::HeadState::complete:
      break;
  }
  deadline_.stop();
  client_.pause(net::PauseReason::handshake);
  early_ = as_text(bytes.subspan(used));
  route();
}

void Call::route() {
  const wire::ConnectHead& head = reader_.head();
  if (head.host.empty()) return turn_down(wire::not_an_origin_reply());
  call_id_ = ordered_hex_id();
  if (!head.connect) return apply(Event::other_host);
  llm_ = context_.hosts.contains(head.host, head.port);
  if (!llm_) return apply(Event::other_host);
  if (context_.gate.open() || context_.gate.undecided()) return apply(Event::llm_open);
  miss_reason_ = "gate_closed";
  apply(Event::llm_closed);
}

void Call::turn_down(std::string_view reply) {
  counters::get("edge.refused_heads").add();
  static_cast<void>(machine_.on(Event::bad_head));
  answer_and_linger(reply);
}

// Closing with unread bytes in the socket would send a reset, and the reply would be lost.
void Call::answer_and_linger(std::string_view reply) {
  lingering_ = true;
  if (!client_.write(as_bytes(reply))) return finish();
  client_.shutdown_write();
  if (client_eof_) return finish();
  deadline_.start_once(kLingerMs);
  client_.resume(net::PauseReason::handshake);
}

void Call::on_deadline() {
  if (lingering_) return finish();
  if (settling_) return check_interceptor(true);
  turn_down(wire::head_timeout_reply());
}

// --- the way -----------------------------------------------------------------------------------

void Call::ask() {
  const wire::ConnectHead& head = reader_.head();
  ask_.start(context_.knocker.port(),
             wire::ask_head(head.host, head.port, call_id_, client_port_, context_.edge_port),
             context_.config.edge.ask_limit_ms,
             context_.config.edge.connect_timeout_ms + kFinalAnswerSlackMs,
             [this](AskResult result) { on_asked(std::move(result)); });
}

void Call::on_asked(AskResult result) {
  switch (result.kind) {
    case AskResult::Kind::refused:
      return ask_failed("ask_refused");
    case AskResult::Kind::silent:
      return ask_failed("ask_timeout");
    case AskResult::Kind::lost:
      second_try_ = true;
      return ask_failed("interceptor_lost");
    case AskResult::Kind::answered:
      break;
  }
  if (result.status == 200) {
    process_ = result.process;
    context_.watch.met(process_);
    far_ = std::move(result.socket);
    far_early_ = std::move(result.after);
    return apply(Event::accepted);
  }
  // It could not reach the origin. That may be its own trouble (its resolver, its upstream proxy as
  // it was when it started): the client is refused only when we cannot reach it either.
  second_try_ = result.status == 502 || result.status == 407;
  miss_reason_ = second_try_            ? "origin_unreachable"
                 : result.status == 503 ? "ask_full"
                                        : "ask_refused";
  apply(Event::not_accepted);
}

void Call::ask_failed(const char* reason) {
  miss_reason_ = reason;
  if (context_.gate.on_ask_failed()) context_.knocker.gate_changed();
  apply(Event::not_accepted);
}

void Call::dial() {
  const wire::ConnectHead& head = reader_.head();
  if (head.host == wire::kSelfTestHost) {  // only the interceptor knows it
    if (machine_.state() == State::rescuing) return tunnel_.end();
    return apply(Event::dial_failed);
  }
  const auto then = [this](Result<net::TcpSocket> socket) { on_dialled(std::move(socket)); };
  // An upgrade leaves HTTP, and wants a tunnel.
  if (!head.connect && !wire::is_upgrade(head))
    return dialer_.dial_for_request(head.host, head.port, then);
  dialer_.dial(head.host, head.port, then, dial_limit_ms());
}

// The client's patience began with its head: a second try gets what is left, and a little at least.
int64_t Call::dial_limit_ms() const {
  const int64_t limit_ms = context_.dial_options.timeout_ms;
  if (!second_try_) return limit_ms;
  const int64_t gone_ms = (context_.clock.steady_us() - started_us_) / 1000;
  return std::clamp(limit_ms - gone_ms, std::min(limit_ms, kSecondTryMs), limit_ms);
}

void Call::on_dialled(Result<net::TcpSocket> socket) {
  if (!socket) return on_unreachable(socket.error());
  far_ = std::move(*socket);
  if (const wire::ConnectHead& head = reader_.head(); !head.connect) {
    const net::UpstreamProxy* proxy = dialer_.plain_proxy();
    early_.insert(0, proxy != nullptr ? wire::absolute_form_head(head, proxy->basic_auth)
                                      : wire::origin_form_head(head));
  }
  apply(Event::connected);
}

void Call::on_unreachable(Error error) {
  // A page must not reach our API, or a client ourselves in a circle, through the proxy.
  if (net::is_own_port(error) && machine_.state() == State::dialing_origin)
    return turn_down(wire::own_port_reply());
  log::info("edge.origin_unreachable")
      .with("host", reader_.head().host)
      .with("call", call_id_)
      .with(error);
  if (machine_.state() == State::rescuing) return tunnel_.end();  // its end ends the call
  if (llm_) write_miss({});
  if (const int status = net::proxy_status(error); status != 0)
    refusal_ = status == 407 ? wire::proxy_auth_reply() : wire::proxy_refused_reply();
  apply(Event::dial_failed);
}

void Call::splice(net::TcpSocket far, bool metered) {
  static Counter& metered_calls = counters::get("edge.metered");
  static Counter& raw_llm = counters::get("edge.raw_llm");
  static Counter& raw_other = counters::get("edge.raw_other_host");
  (metered ? metered_calls : llm_ ? raw_llm : raw_other).add();
  const wire::ConnectHead& head = reader_.head();
  log::debug("edge.call.routed")
      .with("host", head.host)
      .with("call", call_id_)
      .with("way", metered ? "metered" : "raw")
      .with("client_port", client_port_)
      .with("through", far.local().port)  // our own end of the other leg
      .with("reason", miss_reason_ != nullptr ? miss_reason_ : "");
  if (head.connect && !client_.write(as_bytes(wire::connected_reply()))) return finish();
  if (client_.queued() > 0) return finish();  // not even room for these few bytes
  if (metered)
    tunnel_.keep_first_flight(kFirstFlightBytes, context_.config.edge.first_answer_limit_ms,
                              wire::is_handshake_only);
  if (!metered && llm_) enter_miss();
  tunnel_.start(client_.release(), std::move(far), as_bytes(early_), as_bytes(far_early_));
  early_ = {};
  far_early_ = {};
}

// --- the end -----------------------------------------------------------------------------------

void Call::on_far_lost(net::Tunnel&, Error error) {
  counters::get("edge.rescued").add();
  log::warn("edge.call.rescued")
      .with("host", reader_.head().host)
      .with("call", call_id_)
      .with(error);
  // Silence may be the origin's: a knock tells.
  miss_reason_ = error.code == Code::timeout ? "no_first_answer" : "interceptor_lost";
  context_.knocker.hurry();
  apply(Event::far_lost);
}

void Call::on_tunnel_end(net::Tunnel&, const net::TunnelEnd& end) {
  if (machine_.state() == State::metered && end.far_broke && !missed_)
    return check_interceptor(true);
  if (llm_ && miss_reason_ != nullptr) write_miss(end);
  apply(Event::ended);
}

void Call::on_gate_closed() {
  if (machine_.state() == State::metered && tunnel_.so_far().far_broke && !missed_)
    check_interceptor(false);
}

// A metered call broke. When its interceptor is gone without a word, it took the call with it; when
// it is there, or ended in order, it only passed on what the origin did.
void Call::check_interceptor(bool then_end) {
  ending_ = ending_ || then_end;  // whoever asks again meanwhile does not take that back
  switch (context_.watch.fate(process_)) {
    case net::ProcessWatch::Fate::unknown:
      return knock_for_process(then_end);
    case net::ProcessWatch::Fate::alive:
      // The sockets of a process that is killed end before the process itself has.
      if (!then_end) return;
      if (std::exchange(settling_, true)) break;
      return deadline_.start_once(kSettleMs);
    case net::ProcessWatch::Fate::lost:
      miss_reason_ = "interceptor_lost";
      write_miss(tunnel_.so_far());
      break;
    case net::ProcessWatch::Fate::ended:
      break;
  }
  // Not for who only asks: it goes through all calls, and must not end one on the way.
  if (then_end) apply(Event::ended);
}

// It has not said who it is: does anybody listen there?
void Call::knock_for_process(bool then_end) {
  if (context_.knocker.interceptor_leaving()) return then_end ? apply(Event::ended) : void();
  dialer_.cancel();
  dialer_.dial_local(context_.knocker.port(), context_.config.edge.ask_limit_ms,
                     [this](const Result<net::TcpSocket>& socket) {
                       if (!socket) {
                         miss_reason_ = "interceptor_lost";
                         write_miss(tunnel_.so_far());
                         if (context_.gate.on_ask_failed()) context_.knocker.gate_changed();
                       }
                       if (ending_) apply(Event::ended);
                     });
}

void Call::write_off() {
  const State state = machine_.state();
  if (miss_reason_ == nullptr || (state != State::raw && state != State::rescuing)) return;
  write_miss(tunnel_.so_far());
}

// Now, not only at the end: a call counts also when the edge dies with it.
void Call::enter_miss() {
  entry_ = context_.ledger.begin(miss({}));
}

void Call::write_miss(const net::TunnelEnd& end) {
  if (reader_.head().host == wire::kSelfTestHost) return;  // nobody's call
  if (!std::exchange(missed_, true)) context_.ledger.complete(entry_, miss(end));
}

Miss Call::miss(const net::TunnelEnd& end) const {
  Miss miss;
  miss.at_us = started_wall_us_;
  miss.host = reader_.head().host;
  miss.reason = miss_reason_ != nullptr ? miss_reason_ : "origin_unreachable";
  miss.bytes_up = end.bytes_up;
  miss.bytes_down = end.bytes_down;
  miss.duration_us = context_.clock.steady_us() - started_us_;
  miss.client_port = client_port_;
  miss.call_id = call_id_;
  return miss;
}

void Call::on_eof(net::TcpStream&) {
  client_eof_ = true;
  if (lingering_) return finish();
  if (machine_.state() == State::reading_head) apply(Event::ended);
}

void Call::on_broken(net::TcpStream&, Error) {
  lingering_ ? finish() : apply(Event::ended);
}

void Call::finish() {
  deadline_.stop();
  dialer_.cancel();
  ask_.cancel();
  client_.close();
  owner_.on_call_over(id_);
}

}  // namespace hm::edge
