// One client stream, one origin stream, and between them the queue of exchanges in flight: requests
// go in at the back, responses belong to the front.
//
//   client:  head --> body --> head ...                origin:  head --> body --> head ...
//                       '--> awaiting_switch --> raw              '--> raw (101, CONNECT 2xx)
//
// parted: the origin has given up an idle connection with a 408 that nobody asked for (RFC 9110
// 15.5.9). It answers nothing, and nothing comes behind it.
//
// awaiting_switch: the request asks for another protocol, so what the client sends next is either
// that protocol or, if the answer says no, the next request. It is held (bounded) until the answer
// is here.
#include "interceptor/http/h1_observer.h"

#include <deque>
#include <string>
#include <utility>

#include "interceptor/http/h1_body.h"
#include "interceptor/http/h1_head.h"

namespace hm::http {

struct H1Observer::Parts {
  enum class State : uint8_t { head, body, awaiting_switch, raw, parted };

  struct Direction {
    explicit Direction(size_t max_head) : head(HeadReader::Kind::head, max_head), body(max_head) {}
    State state = State::head;
    HeadReader head;
    BodyReader body;
    bool ended = false;
  };

  struct InFlight {
    ExchangeId id = 0;
    bool is_head = false;
    bool is_connect = false;
    bool asks_upgrade = false;
  };

  Parts(ExchangeEvents& event_sink, const H1Limits& bounds)
      : events(event_sink), limits(bounds), client(bounds.max_head), origin(bounds.max_head) {}

  Result<void> feed_client(Bytes bytes);
  Result<void> feed_origin(Bytes bytes);
  Result<void> read_request_head(Bytes& bytes);
  Result<void> read_request_body(Bytes& bytes);
  Result<void> read_response_head(Bytes& bytes);
  Result<void> read_response_body(Bytes& bytes);
  Result<void> on_response_head(const ResponseHead& head);
  Result<void> on_unasked_head(const ResponseHead& head);
  Result<void> request_done();
  Result<void> response_done();
  Result<void> switch_protocol();
  Result<void> no_switch();
  void end_all(EndKind kind);
  Result<void> keep(Result<void> result) {
    if (!result) {
      failed = true;
      error = result.error();
    }
    return result;
  }

  ExchangeEvents& events;
  const H1Limits limits;
  Direction client;
  Direction origin;
  std::deque<InFlight> in_flight;
  ExchangeId last_id = 0;    // of the request that is being read, or was read last
  bool request_over = true;  // its exchange has ended already: the rest of the upload is not told
  bool unasked = false;      // the head that comes from the origin answers no request
  bool switching = false;    // the answer was yes: raw as soon as the request is whole
  ExchangeId raw_id = 0;
  std::string held;  // from the client, in awaiting_switch
  Error error;
  bool failed = false;
};

Result<void> H1Observer::Parts::feed_client(Bytes bytes) {
  while (!bytes.empty()) {
    Result<void> result;
    switch (client.state) {
      case State::head:
        result = read_request_head(bytes);
        break;
      case State::body:
        result = read_request_body(bytes);
        break;
      case State::awaiting_switch:
        if (bytes.size() > limits.max_head - held.size()) {
          return fail(Code::too_large, "h1.before_switch");
        }
        held.append(as_text(bytes));
        return {};
      case State::raw:
        events.on_upgraded_bytes(raw_id, true, bytes);
        return {};
      case State::parted:  // the origin's alone
        return {};
    }
    if (!result) return result;
  }
  return {};
}

Result<void> H1Observer::Parts::read_request_head(Bytes& bytes) {
  const auto used = client.head.feed(bytes);
  if (!used) return std::unexpected(used.error());
  bytes = bytes.subspan(*used);
  if (!client.head.done()) return {};

  const auto head = parse_request_head(client.head.text());
  if (!head) return std::unexpected(head.error());
  client.head.reset();
  const auto framing = request_framing(*head);
  if (!framing) return std::unexpected(framing.error());
  if (in_flight.size() >= limits.max_in_flight) return fail(Code::too_large, "h1.in_flight");

  in_flight.push_back(
      {++last_id, head->method == "HEAD", head->method == "CONNECT",
       has_token(head->headers, "connection", "upgrade") && !head->header("upgrade").empty()});
  request_over = false;
  client.body.begin(*framing);
  client.state = State::body;
  events.on_request_head(last_id, *head);
  return client.body.done() ? request_done() : Result<void>{};
}

Result<void> H1Observer::Parts::read_request_body(Bytes& bytes) {
  const auto step = client.body.feed(bytes);
  if (!step) return std::unexpected(step.error());
  bytes = bytes.subspan(step->used);
  if (!step->body.empty() && !request_over) events.on_request_body(last_id, step->body);
  return client.body.done() ? request_done() : Result<void>{};
}

Result<void> H1Observer::Parts::request_done() {
  client.state = State::head;
  if (request_over) return {};
  if (switching) {
    client.state = State::raw;
  } else if (in_flight.back().asks_upgrade || in_flight.back().is_connect) {
    client.state = State::awaiting_switch;
  }
  events.on_request_end(last_id);
  return {};
}

Result<void> H1Observer::Parts::feed_origin(Bytes bytes) {
  while (!bytes.empty()) {
    Result<void> result;
    switch (origin.state) {
      case State::head:
        result = read_response_head(bytes);
        break;
      case State::body:
        result = read_response_body(bytes);
        break;
      case State::awaiting_switch:  // the client's alone
      case State::raw:
        events.on_upgraded_bytes(raw_id, false, bytes);
        return {};
      case State::parted:
        return {};
    }
    if (!result) return result;
  }
  return {};
}

Result<void> H1Observer::Parts::read_response_head(Bytes& bytes) {
  if (in_flight.empty() && origin.head.empty()) {
    if (bytes.front() == '\r' || bytes.front() == '\n') {  // behind a body: harmless
      bytes = bytes.subspan(1);
      return {};
    }
    if (bytes.front() != 'H') return fail(Code::malformed, "h1.unasked_response");
    unasked = true;
  }
  const auto used = origin.head.feed(bytes);
  if (!used) return std::unexpected(used.error());
  bytes = bytes.subspan(*used);
  if (!origin.head.done()) return {};

  const auto head = parse_response_head(origin.head.text());
  if (!head) return std::unexpected(head.error());
  origin.head.reset();
  return unasked ? on_unasked_head(*head) : on_response_head(*head);
}

Result<void> H1Observer::Parts::on_unasked_head(const ResponseHead& head) {
  if (head.status != 408) return fail(Code::malformed, "h1.unasked_response");
  origin.state = State::parted;
  return {};
}

Result<void> H1Observer::Parts::on_response_head(const ResponseHead& head) {
  const InFlight& exchange = in_flight.front();
  if (head.status < 200 && head.status != 101) {
    events.on_interim(exchange.id, head.status);
    return {};
  }
  if (head.status == 101 && !exchange.asks_upgrade) return fail(Code::malformed, "h1.unasked_101");

  if (head.status == 101 || (exchange.is_connect && head.status < 300)) {
    events.on_response_head(exchange.id, head);
    return switch_protocol();
  }
  const auto framing = response_framing(head, exchange.is_head);
  if (!framing) return std::unexpected(framing.error());
  origin.body.begin(*framing);
  origin.state = State::body;
  events.on_response_head(exchange.id, head);
  return origin.body.done() ? response_done() : Result<void>{};
}

Result<void> H1Observer::Parts::read_response_body(Bytes& bytes) {
  const auto step = origin.body.feed(bytes);
  if (!step) return std::unexpected(step.error());
  bytes = bytes.subspan(step->used);
  const ExchangeId id = in_flight.front().id;
  if (!step->body.empty()) events.on_response_body(id, step->body);
  if (!origin.body.done()) return {};

  if (!origin.body.trailers().empty()) {
    const auto trailers = parse_fields(origin.body.trailers());
    if (!trailers) return std::unexpected(trailers.error());
    if (!trailers->empty()) events.on_trailers(id, *trailers);
  }
  return response_done();
}

Result<void> H1Observer::Parts::response_done() {
  const InFlight exchange = in_flight.front();
  in_flight.pop_front();
  origin.state = State::head;
  // Answered before the upload was whole (413, 401, 429): the exchange ends here.
  if (exchange.id == last_id) request_over = true;
  events.on_exchange_end(exchange.id, EndKind::complete);
  return exchange.id == last_id ? no_switch() : Result<void>{};
}

// The answer to a request for another protocol was no: what was held are the next requests.
Result<void> H1Observer::Parts::no_switch() {
  if (client.state != State::awaiting_switch) return {};
  client.state = State::head;
  const std::string next = std::exchange(held, {});
  return feed_client(as_bytes(next));
}

Result<void> H1Observer::Parts::switch_protocol() {
  raw_id = in_flight.front().id;
  // Nothing can be behind it: since that request the client's bytes are held.
  switching = true;
  origin.state = State::raw;
  events.on_upgrade(raw_id);
  if (client.state == State::awaiting_switch) {
    client.state = State::raw;
    const std::string first = std::exchange(held, {});
    if (!first.empty()) events.on_upgraded_bytes(raw_id, true, as_bytes(first));
  }
  return {};
}

void H1Observer::Parts::end_all(EndKind kind) {
  request_over = true;
  while (!in_flight.empty()) {
    const ExchangeId id = in_flight.front().id;
    in_flight.pop_front();
    events.on_exchange_end(id, kind);
  }
}

H1Observer::H1Observer(ExchangeEvents& events, const H1Limits& limits)
    : parts_(std::make_unique<Parts>(events, limits)) {}

H1Observer::~H1Observer() = default;

Result<void> H1Observer::from_client(Bytes bytes) {
  Parts& p = *parts_;
  if (p.failed) return std::unexpected(p.error);
  // After the origin's end nothing can be answered any more: a request that crossed it is not told.
  if (p.client.ended || p.origin.ended) return {};
  return p.keep(p.feed_client(bytes));
}

Result<void> H1Observer::from_origin(Bytes bytes) {
  Parts& p = *parts_;
  if (p.failed) return std::unexpected(p.error);
  if (p.origin.ended) return {};
  return p.keep(p.feed_origin(bytes));
}

bool H1Observer::mid_message() const {
  return parts_->client.state == Parts::State::head && !parts_->client.head.empty();
}

// A client that has only closed its sending half may still read its response (and one that is gone
// altogether will be told by the origin's end), so an orderly end decides nothing yet.
void H1Observer::client_ended(bool orderly) {
  Parts& p = *parts_;
  if (p.failed || p.client.ended) return;
  p.client.ended = true;
  if (!orderly) {
    p.origin.ended = true;
    p.end_all(EndKind::client_abort);
  }
}

void H1Observer::origin_ended(bool orderly) {
  Parts& p = *parts_;
  if (p.failed || p.origin.ended) return;
  p.origin.ended = true;
  if (p.origin.state == Parts::State::raw) {
    p.end_all(p.client.ended ? EndKind::client_abort
              : orderly      ? EndKind::complete
                             : EndKind::reset);
    return;
  }
  if (orderly && !p.client.ended && p.origin.state == Parts::State::body &&
      p.origin.body.until_close() && !p.in_flight.empty()) {
    const ExchangeId id = p.in_flight.front().id;
    p.in_flight.pop_front();
    p.events.on_exchange_end(id, EndKind::complete);
  }
  if (p.client.ended) {
    p.end_all(EndKind::client_abort);
  } else {
    p.end_all(orderly ? EndKind::eof_early : EndKind::reset);
  }
}

}  // namespace hm::http
