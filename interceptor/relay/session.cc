#include "interceptor/relay/session.h"

#include <utility>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/wire/ask.h"
#include "interceptor/relay/alert_names.h"

namespace hm::relay {
namespace {

constexpr size_t kMaxWaitingRows = 256;
// A client that hangs up this soon after the handshake, without a byte, has looked at our
// certificate and left. Node's TLS verifies after the handshake.
constexpr int64_t kHangUpWindowUs = 2'000'000;

constexpr std::string_view kProcessing = "HTTP/1.1 102 Processing\r\n\r\n";
constexpr std::string_view kConnected = "HTTP/1.1 200 Connection established\r\n\r\n";

}  // namespace

Session::Session(RelayContext& context, Owner& owner, uint64_t id)
    : context_(context),
      owner_(owner),
      id_(id),
      deadline_(context.loop, [this] { on_timeout(); }),
      dialer_(context.loop, context.dial_options),
      client_(context.loop, *this),
      origin_(context.loop, *this),
      saved_(context.limits.saved_hello_bytes + 2 * net::TcpStream::kReadSize) {}

Session::~Session() = default;

void Session::start(net::TcpSocket socket) {
  started_wall_us_ = context_.clock.wall_us();
  started_us_ = context_.clock.steady_us();
  client_port_ = socket.peer().port;
  our_port_ = socket.local().port;
  client_.adopt(std::move(socket));
  deadline_.start_once(context_.limits.ask_timeout_ms);
  client_.start_reading();
}

void Session::apply(Event event) {
  switch (machine_.on(event)) {
    case Command::none:
      return;
    case Command::dial:
    case Command::dial_again:
      return dial();
    case Command::await_hello:
      return await_hello();
    case Command::shake_origin:
      return shake_origin();
    case Command::answer_client:
      return client_.drive_handshake();
    case Command::relay:
      return begin_relay();
    case Command::splice:
      return splice();
    case Command::refuse:
      return refuse();
    case Command::close:
      return finish();
  }
}

// --- the ask -----------------------------------------------------------------------------------

void Session::read_ask(Bytes bytes) {
  size_t used = 0;
  switch (ask_reader_.feed(bytes, used)) {
    case wire::HeadState::more:
      return;
    case wire::HeadState::failed:
      static_cast<void>(client_.send(as_bytes(wire::bad_request_reply())));
      return apply(Event::bad_ask);
    case wire::HeadState::complete:
      break;
  }
  deadline_.stop();
  if (used < bytes.size()) static_cast<void>(saved_.append(bytes.subspan(used)));
  take_ask(ask_reader_.head());
}

void Session::take_ask(const wire::ConnectHead& head) {
  if (!head.connect) {
    static_cast<void>(client_.send(as_bytes(wire::bad_request_reply())));
    return apply(Event::bad_ask);
  }
  facts_.host = head.host;
  facts_.call_id = std::string(head.header(wire::kCallIdHeader)).substr(0, 64);
  port_ = head.port;
  if (head.host == wire::kKnockHost) return answer_knock();
  if (turned_away_ || !owner_.metering()) {
    static_cast<void>(client_.send(as_bytes(wire::unavailable_reply())));
    return apply(Event::bad_ask);
  }
  // Without an edge in between the client came to our own port.
  uint16_t their_door = our_port_;
  if (const auto port = wire::parse_port(head.header(wire::kClientPortHeader))) {
    client_port_ = *port;
    their_door = wire::parse_port(head.header(wire::kEdgePortHeader)).value_or(our_port_);
  }
  provider_ = context_.providers.find(head.host, head.port);
  if (!client_.send(as_bytes(kProcessing))) return;
  if (provider_ != nullptr && !context_.authority.covers(head.host)) {
    provider_ = nullptr;
    miss_reason_ = "ca_does_not_cover";
  }
  if (provider_ == nullptr) return apply(Event::other_host);
  attribution_asked_ = true;
  owner_.look_up_client(id_, static_cast<uint16_t>(client_port_), their_door);
  apply(Event::metered_host);
}

void Session::answer_knock() {
  const std::string_view answer =
      owner_.metering() ? kConnected : std::string_view(wire::unavailable_reply());
  static_cast<void>(client_.send(as_bytes(answer)));
  apply(Event::bad_ask);
}

void Session::refuse() {
  record_miss("origin_unreachable", miss_detail_);
  miss_reason_ = nullptr;
  // The edge relays this when the client has not been answered yet; on a redial it is too late for
  // words and the client sees the end of the connection.
  if (client_.open() && ready_us_ == 0 && !client_answered_)
    static_cast<void>(client_.send(as_bytes(wire::bad_gateway_reply())));
  finish();
}

// --- towards the origin ------------------------------------------------------------------------

void Session::dial() {
  client_.drop_tls();
  origin_.drop_tls();
  origin_.close();
  dialer_.dial(facts_.host, port_,
               [this](Result<net::TcpSocket> socket) { on_dialled(std::move(socket)); });
}

void Session::on_dialled(Result<net::TcpSocket> socket) {
  if (machine_.state() == State::closed) return;
  if (!socket) {
    miss_detail_ = describe(socket.error());
    return apply(Event::dial_failed);
  }
  origin_.adopt(std::move(*socket));
  apply(Event::connected);
}

void Session::await_hello() {
  if (!client_.send(as_bytes(kConnected))) return;
  client_answered_ = true;
  client_.start_tls(tls::Engine::towards_client(context_.client_side));
  origin_.start_reading();
  if (saved_.empty()) return;
  deadline_.start_once(context_.limits.hello_timeout_ms);
  const std::string early = saved_.copy_all();
  client_.feed_saved(as_bytes(early));
}

void Session::save_hello(Bytes bytes) {
  if (!deadline_.running() && machine_.state() == State::awaiting_hello)
    deadline_.start_once(context_.limits.hello_timeout_ms);
  // The queue has room for whole reads above the limit, so the bytes in hand are never lost.
  static_cast<void>(saved_.append(bytes));
  if (saved_.size() <= context_.limits.saved_hello_bytes) return;
  if (machine_.state() == State::awaiting_hello) return doubt("hello_too_large");
  client_.pause(net::PauseReason::handshake);
}

void Session::doubt(const char* reason) {
  miss_reason_ = reason;
  apply(Event::hello_doubt);
}

void Session::on_client_handshake(tls::Engine::Handshake progress) {
  const State state = machine_.state();
  if (state == State::awaiting_hello) {
    if (progress == tls::Engine::Handshake::paused) return judge_hello();
    if (progress == tls::Engine::Handshake::failed) return doubt("not_tls");
    return;
  }
  if (state != State::answering_client) return;
  if (progress == tls::Engine::Handshake::done) return apply(Event::client_fit);
  if (progress == tls::Engine::Handshake::failed) on_client_failed();
}

void Session::judge_hello() {
  const tls::ClientHello& hello = client_.engine().hello();
  hello_shape_ = hello.shape;
  if (hello.server_name != facts_.host) {
    miss_detail_ = hello.server_name.empty() ? "no server name" : "another server name";
    return doubt("sni_mismatch");
  }
  if (context_.trust.distrusts(facts_.host, hello_shape_)) return doubt("client_refused_ca");
  apply(Event::hello_fit);
}

void Session::shake_origin() {
  deadline_.start_once(context_.limits.handshake_timeout_ms);
  auto engine =
      tls::Engine::towards_origin(context_.origin_side, facts_.host, client_.engine().hello().alpn);
  origin_.start_tls(std::move(engine));
  origin_.hold_plaintext();
  origin_.drive_handshake();
}

void Session::on_origin_handshake(tls::Engine::Handshake progress) {
  if (machine_.state() != State::shaking_origin) return;
  if (progress == tls::Engine::Handshake::wants_bytes) return;
  if (progress == tls::Engine::Handshake::done) {
    const auto leaf = context_.leaves.leaf_for(facts_.host);
    Result<void> answered = leaf ? client_.engine().answer(**leaf, origin_.engine().alpn())
                                 : Result<void>(std::unexpected(leaf.error()));
    if (answered) {
      origin_.pause(net::PauseReason::handshake);
      deadline_.start_once(context_.limits.handshake_timeout_ms);
      return apply(Event::origin_fit);
    }
    miss_reason_ = "leaf_failed";
    miss_detail_ = describe(answered.error());
    return apply(Event::origin_unfit);
  }
  switch (origin_.engine().failure()) {
    case tls::Engine::Failure::origin_unverified:
      miss_reason_ = "origin_unverified";
      break;
    case tls::Engine::Failure::client_certificate:
      miss_reason_ = "client_certificate";
      break;
    default:
      miss_reason_ = "origin_handshake_failed";
      break;
  }
  miss_detail_ = describe(origin_.engine().error());
  apply(Event::origin_unfit);
}

// --- towards the client ------------------------------------------------------------------------

void Session::on_client_failed() {
  if (client_.engine().client_refusal()) {
    note_refusal(alert_name(client_.engine().peer_alert()));
  } else {
    record_miss("client_handshake_failed", describe(client_.engine().error()));
  }
  apply(Event::client_failed);
}

void Session::note_refusal(std::string reason) {
  log::warn("intercept.client_refused_ca")
      .with("host", facts_.host)
      .with("client", facts_.attribution.client_name)
      .with("pid", facts_.attribution.client_pid)
      .with("reason", reason)
      .with("call", facts_.call_id);
  record_miss("client_refused_ca", reason);
  Refusal refusal;
  refusal.host = facts_.host;
  refusal.shape = hello_shape_;
  refusal.client = facts_.attribution.client_name;
  refusal.client_pid = facts_.attribution.client_pid;
  refusal.reason = std::move(reason);
  context_.trust.remember(std::move(refusal));
}

void Session::begin_relay() {
  deadline_.stop();
  saved_.clear();
  ready_us_ = context_.clock.steady_us();
  facts_.transport = Tap::transport_of(origin_.engine().alpn());
  tap_ = std::make_unique<Tap>(*provider_, facts_, origin_.engine().alpn(), context_.clock,
                               static_cast<RecordSink&>(*this));
  static Counter& intercepted = counters::get("relay.intercepted");
  intercepted.add();
  log::debug("intercept.start")
      .with("host", facts_.host)
      .with("call", facts_.call_id)
      .with("alpn", origin_.engine().alpn())
      .with("tls", origin_.engine().version());
  client_.resume(net::PauseReason::handshake);
  origin_.resume(net::PauseReason::handshake);
  origin_.release_plaintext();
}

void Session::splice() {
  deadline_.stop();
  client_.drop_tls();
  origin_.drop_tls();
  static Counter& spliced = counters::get("relay.spliced");
  if (provider_ != nullptr) {
    spliced.add();
    log::info("intercept.spliced")
        .with("host", facts_.host)
        .with("call", facts_.call_id)
        .with("reason", miss_reason_ != nullptr ? miss_reason_ : "other_host");
  }
  if (!client_answered_) {
    client_answered_ = true;
    if (!client_.send(as_bytes(kConnected))) return;
  }
  origin_.start_reading();
  client_.resume(net::PauseReason::handshake);
  while (!saved_.empty()) {
    const Bytes run = saved_.front();
    bytes_up_ += static_cast<int64_t>(run.size());
    forward(origin_, run);
    if (machine_.state() == State::closed) return;
    saved_.consume(run.size());
  }
  if (client_.read_ended()) end_direction(client_);
}

// --- bytes -------------------------------------------------------------------------------------

void Session::on_side_bytes(Side& side, Bytes bytes) {
  if (&side == &client_) {
    switch (machine_.state()) {
      case State::reading_ask:
        return read_ask(bytes);
      case State::raw:
        break;
      case State::answering_client:  // the engine's affair; nothing can be replayed any more
      case State::relaying:
      case State::closed:
        return;
      default:
        return save_hello(bytes);
    }
  } else if (machine_.state() == State::awaiting_hello) {
    doubt("origin_spoke_first");  // no TLS server does; carry it as it is
    if (machine_.state() != State::raw) return;
  }
  if (machine_.state() != State::raw) return;
  (&side == &client_ ? bytes_up_ : bytes_down_) += static_cast<int64_t>(bytes.size());
  forward(other(side), bytes);
}

void Session::on_side_handshake(Side& side, tls::Engine::Handshake progress) {
  if (&side == &client_) return on_client_handshake(progress);
  on_origin_handshake(progress);
}

void Session::on_side_plaintext(Side& side, Bytes plaintext) {
  if (machine_.state() != State::relaying) return;
  const bool from_client = &side == &client_;
  if (from_client && !client_spoke_) {
    client_spoke_ = true;
    context_.trust.trusted(facts_.host, hello_shape_);
  }
  forward(other(side), plaintext);  // the call first, then the look
  if (tap_ != nullptr) tap_->look(from_client, plaintext);
}

void Session::forward(Side& to, Bytes bytes) {
  if (!to.send(bytes)) return;
  if (to.queued() > net::TcpStream::kHighMark) other(to).pause(net::PauseReason::sink_full);
}

void Session::on_side_drained(Side& side) {
  if (carrying()) other(side).resume(net::PauseReason::sink_full);
  end_if_over();
}

// --- ends --------------------------------------------------------------------------------------

void Session::on_side_close_notify(Side& side) {
  if (machine_.state() == State::answering_client || !carrying()) return;
  other(side).send_close_notify();
  if (tap_ == nullptr) return;
  if (&side == &client_) {
    tap_->client_ended(true);
  } else {
    tap_->origin_ended(true);
  }
}

void Session::on_side_fin(Side& side) {
  const bool from_client = &side == &client_;
  switch (machine_.state()) {
    case State::raw:
    case State::relaying:
      return end_direction(side);
    case State::awaiting_hello:
      if (from_client && saved_.empty()) return apply(Event::ended);  // a connection never used
      return from_client ? doubt("not_tls") : apply(Event::ended);
    case State::shaking_origin:
      if (from_client) return apply(Event::ended);
      miss_reason_ = "origin_handshake_failed";
      return apply(Event::origin_unfit);
    case State::answering_client:
      if (!from_client) return apply(Event::ended);
      if (!context_.trust.ever_trusted(facts_.host, hello_shape_))
        note_refusal("hung_up_in_handshake");
      return apply(Event::client_failed);
    case State::dialing_raw:
      return;  // its bytes are saved; splice() passes the end on
    default:
      return apply(Event::ended);
  }
}

void Session::end_direction(Side& from) {
  Side& to = other(from);
  const bool from_client = &from == &client_;
  if (tap_ != nullptr) {
    if (from_client) {
      tap_->client_ended(true);
    } else {
      tap_->origin_ended(true);
    }
  }
  if (from_client && machine_.state() == State::relaying && !client_spoke_ &&
      context_.clock.steady_us() - ready_us_ < kHangUpWindowUs &&
      !context_.trust.ever_trusted(facts_.host, hello_shape_)) {
    note_refusal("hung_up_after_handshake");
    client_spoke_ = true;  // said once
  }
  to.shutdown_write();
  end_if_over();
}

void Session::end_if_over() {
  if (!carrying()) return;
  if (client_.read_ended() && origin_.read_ended() && client_.queued() == 0 &&
      origin_.queued() == 0)
    apply(Event::ended);
}

void Session::on_side_broken(Side& side, Error error) {
  const State state = machine_.state();
  if (state == State::closed) return;
  const bool from_client = &side == &client_;
  log::debug("intercept.broken")
      .with("host", facts_.host)
      .with("call", facts_.call_id)
      .with("side", from_client ? "client" : "origin")
      .with("state", name_of(state))
      .with(error);
  if (!from_client && state == State::shaking_origin) {
    miss_reason_ = "origin_handshake_failed";
    miss_detail_ = describe(error);
    return apply(Event::origin_unfit);
  }
  if (!from_client && state == State::awaiting_hello) return apply(Event::ended);
  if (from_client && state == State::relaying && client_.secure() &&
      client_.engine().client_refusal()) {
    note_refusal(alert_name(client_.engine().peer_alert()));  // TLS 1.3: after the handshake
  } else if (from_client && state == State::answering_client &&
             !context_.trust.ever_trusted(facts_.host, hello_shape_)) {
    note_refusal("hung_up_in_handshake");
  } else if (from_client && state == State::relaying && !client_spoke_ &&
             context_.clock.steady_us() - ready_us_ < kHangUpWindowUs &&
             !context_.trust.ever_trusted(facts_.host, hello_shape_)) {
    note_refusal("hung_up_after_handshake");
  }
  if (tap_ != nullptr) {
    if (from_client) {
      tap_->client_ended(false);
    } else {
      tap_->origin_ended(false);
    }
  }
  other(side).reset();  // broken stays broken: the other end learns it at once
  apply(Event::ended);
}

void Session::on_timeout() {
  switch (machine_.state()) {
    case State::reading_ask:
      return apply(Event::bad_ask);
    case State::awaiting_hello:
      return doubt("hello_timeout");
    case State::shaking_origin:
      miss_reason_ = "origin_timeout";
      return apply(Event::origin_unfit);
    case State::answering_client:
      record_miss("client_handshake_timeout");
      return apply(Event::client_failed);
    default:
      return;
  }
}

void Session::drain() {
  if (machine_.state() != State::relaying || tap_ == nullptr) return;
  if (tap_->unread() || tap_->open_calls() > 0) return;
  client_.send_close_notify();
  origin_.send_close_notify();
  apply(Event::ended);
}

void Session::finish() {
  deadline_.stop();
  dialer_.cancel();
  if (tap_ != nullptr) {
    tap_->client_ended(true);
    tap_->origin_ended(true);
    tap_.reset();
  }
  client_.close();
  origin_.close();
  if (miss_reason_ != nullptr) record_miss(miss_reason_, miss_detail_);
  leave_when_known();
}

void Session::leave_when_known() {
  if (attribution_asked_ && !attributed_ && !waiting_.empty()) return;
  owner_.on_session_over(id_);
}

// --- records -----------------------------------------------------------------------------------

void Session::on_attributed(const Attribution& attribution) {
  attributed_ = true;
  facts_.attribution = attribution;
  for (CallRecord& record : waiting_) {
    // The user agent is a better name than the process.
    Attribution merged = attribution;
    if (!record.attribution.client_name.empty()) {
      merged.client_name = std::move(record.attribution.client_name);
      merged.client_version = std::move(record.attribution.client_version);
    }
    record.attribution = std::move(merged);
    context_.sink.push(std::move(record));
  }
  waiting_.clear();
  if (machine_.state() == State::closed) leave_when_known();
}

bool Session::push(CallRecord&& record) noexcept {
  if (!attribution_asked_ || attributed_ || waiting_.size() >= kMaxWaitingRows)
    return context_.sink.push(std::move(record));
  try {
    waiting_.push_back(std::move(record));
    return true;
  } catch (...) {
    return context_.sink.push(std::move(record));
  }
}

bool Session::push(MissRecord&& record) noexcept {
  record.client_port = client_port_;
  return context_.sink.push(std::move(record));
}

void Session::record_miss(const char* reason, std::string detail) {
  if (provider_ == nullptr && miss_reason_ == nullptr) return;  // not a host that we meter
  MissRecord miss;
  miss.at_us = started_wall_us_;
  miss.host = facts_.host;
  miss.reason = reason;
  miss.bytes_up = bytes_up_;
  miss.bytes_down = bytes_down_;
  miss.duration_us = context_.clock.steady_us() - started_us_;
  miss.call_id = facts_.call_id;
  miss.detail = std::move(detail);
  push(std::move(miss));
}

bool Session::carrying() const {
  return machine_.state() == State::relaying || machine_.state() == State::raw;
}

}  // namespace hm::relay
