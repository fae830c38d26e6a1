// A session's frame: the ask, the dial, what the machine commands, and the end. The phases between
// are in session_handshake.cc and session_carry.cc, the rows in session_records.cc.
#include "interceptor/relay/session.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "common/wire/ask.h"

namespace hm::relay {
namespace {

// A fraction of what the edge waits for a sign of life (300 ms).
constexpr int64_t kInterimMs = 20;

std::string_view processing() {
  static const std::string head = wire::processing_head(::getpid());
  return head;
}

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

// The process ends with this connection under way: what is known of it is written. After finish()
// nothing is left to say.
Session::~Session() {
  if (tap_ != nullptr) {
    tap_->origin_ended(false);
    tap_->client_ended(false);
    tap_.reset();
  }
  if (miss_reason_ != nullptr) record_miss(miss_reason_, miss_detail_);
  for (CallRecord& record : waiting_) context_.sink.push(std::move(record));
  if (context_.flights != nullptr) context_.flights->end(flight_);
}

void Session::start(net::TcpSocket socket) {
  started_wall_us_ = context_.clock.wall_us();
  started_us_ = context_.clock.steady_us();
  last_bytes_us_ = started_us_;
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
    case Command::drop_origin:
      return origin_.close();
    case Command::redial:
      return redial();
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
  facts_.key_printer = context_.key_printer;
  facts_.call_id = std::string(head.header(wire::kCallIdHeader)).substr(0, 64);
  port_ = head.port;
  const auto edge_port = wire::parse_port(head.header(wire::kEdgePortHeader));
  if (edge_port && context_.on_edge_port) context_.on_edge_port(*edge_port);
  if (head.host == wire::kKnockHost) return answer_knock();
  if (turned_away_ || !owner_.metering()) {
    static_cast<void>(client_.send(as_bytes(wire::unavailable_reply())));
    return apply(Event::bad_ask);
  }
  // Without an edge in between the client came to our own port.
  uint16_t their_door = our_port_;
  if (const auto port = wire::parse_port(head.header(wire::kClientPortHeader))) {
    client_port_ = *port;
    their_door = edge_port.value_or(our_port_);
  }
  provider_ = context_.providers.find(head.host, head.port);
  // The origin's connection may be there before the edge had to be told that we are at it: then it
  // hears both with one message.
  deadline_.start_once(kInterimMs);
  if (provider_ != nullptr && !context_.authority.covers(head.host)) {
    provider_ = nullptr;
    miss_reason_ = "ca_does_not_cover";
  }
  if (provider_ != nullptr && !context_.authority.valid_at(context_.clock.wall_us())) {
    provider_ = nullptr;
    miss_reason_ = "ca_out_of_date";
  }
  if (provider_ == nullptr) {
    // The edge asks for metered hosts alone: one that we do not know goes raw, and is counted.
    const bool from_edge = !head.header(wire::kClientPortHeader).empty();
    if (miss_reason_ == nullptr && from_edge) miss_reason_ = "unknown_provider";
    return apply(Event::other_host);
  }
  // Whose call the self-test is has no meaning: no project is made for it.
  if (head.host != wire::kSelfTestHost) {
    attribution_asked_ = true;
    owner_.look_up_client(id_, static_cast<uint16_t>(client_port_), their_door);
  }
  apply(Event::metered_host);
}

void Session::answer_knock() {
  static_cast<void>(
      answer_ask(owner_.metering() ? wire::connected_reply() : wire::unavailable_reply()));
  apply(Event::bad_ask);
}

bool Session::answer_ask(std::string_view reply) {
  if (std::exchange(interim_sent_, true)) return client_.send(as_bytes(reply));
  return client_.send(as_bytes(std::string(processing()).append(reply)));
}

void Session::refuse() {
  // The edge relays the answer when the client has not been answered yet; on a redial it is too
  // late for words and the client sees the end of the connection.
  const bool may_speak = client_.open() && ready_us_ == 0 && !client_answered_;
  if (may_speak && dial_error_.code == Code::exhausted) {
    // Our own shortage is not the origin's: the edge goes raw, and counts the miss.
    static_cast<void>(answer_ask(wire::unavailable_reply()));
  } else {
    record_miss("origin_unreachable", miss_detail_);
    const bool wants_password = net::proxy_status(dial_error_) == 407;
    if (may_speak)
      static_cast<void>(
          answer_ask(wants_password ? wire::proxy_auth_reply() : wire::bad_gateway_reply()));
  }
  miss_reason_ = nullptr;
  finish();
}

// --- towards the origin ------------------------------------------------------------------------

void Session::dial() {
  client_.drop_tls();
  redial();
}

void Session::redial() {
  origin_.drop_tls();
  origin_.close();
  auto then = [this](Result<net::TcpSocket> socket) { on_dialled(std::move(socket)); };
  if (facts_.host != wire::kSelfTestHost) return dialer_.dial(facts_.host, port_, std::move(then));
  // A name that no resolver shall ever be asked for.
  const auto port = context_.self_test != nullptr
                        ? context_.self_test->open()
                        : Result<uint16_t>(fail(Code::refused, "session.self_test"));
  if (!port) return on_dialled(std::unexpected(port.error()));
  dialer_.dial_local(*port, context_.limits.handshake_timeout_ms, std::move(then));
}

void Session::on_dialled(Result<net::TcpSocket> socket) {
  if (machine_.state() == State::closed) return;
  if (!socket) {
    dial_error_ = socket.error();
    miss_detail_ = describe(dial_error_);
    return apply(Event::dial_failed);
  }
  origin_.adopt(std::move(*socket));
  apply(Event::connected);
}

void Session::on_side_handshake(Side& side, tls::Engine::Handshake progress) {
  if (&side == &client_) return on_client_handshake(progress);
  on_origin_handshake(progress);
}

// --- ends --------------------------------------------------------------------------------------

void Session::on_timeout() {
  switch (machine_.state()) {
    case State::reading_ask:
      return apply(Event::bad_ask);
    case State::dialing:
    case State::dialing_raw:
      if (!std::exchange(interim_sent_, true))
        static_cast<void>(client_.send(as_bytes(processing())));
      return;
    case State::awaiting_hello:
      return doubt("hello_timeout");
    case State::shaking_origin:
      miss_reason_ = "origin_timeout";
      context_.silent_origins.was_silent(facts_.host, port_);
      return apply(Event::origin_unfit);
    case State::answering_client:
      record_miss("client_handshake_timeout");
      return apply(Event::client_failed);
    default:
      return;
  }
}

void Session::finish() {
  deadline_.stop();
  dialer_.cancel();
  if (tap_ != nullptr) {
    tap_->client_ended(true);
    tap_->origin_ended(true);
    tap_.reset();
    note_flight();
  }
  client_.close();
  origin_.close();
  if (miss_reason_ != nullptr) record_miss(miss_reason_, miss_detail_);
  miss_reason_ = nullptr;
  leave_when_known();
}

}  // namespace hm::relay
