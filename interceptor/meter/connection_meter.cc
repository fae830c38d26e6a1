#include "interceptor/meter/connection_meter.h"

#include <map>
#include <utility>

#include "common/base/counters.h"
#include "interceptor/meter/call_meter.h"
#include "interceptor/meter/socket_meter.h"

namespace hm::meter {
namespace {

// More than any client keeps open on one connection; beyond it calls go unread and are counted.
constexpr size_t kMaxOpenCalls = 1024;

// A model call whose figures nobody reads: only its size is told.
struct Unread {
  MissRecord miss;
  int64_t started_us = 0;  // steady
  int status = 0;
  bool websocket = false;
  bool upgraded = false;
};

// By an upgrade, or over HTTP/2 by extended CONNECT (RFC 8441).
bool asks_for_websocket(const http::RequestHead& head) {
  const bool connect = head.method == "CONNECT";
  const std::string_view upgrade = head.header(connect ? ":protocol" : "upgrade");
  constexpr std::string_view kWebsocket = "websocket";
  if (upgrade.size() != kWebsocket.size()) return false;
  for (size_t i = 0; i < upgrade.size(); ++i) {
    if ((upgrade[i] | 0x20) != kWebsocket[i]) return false;
  }
  return true;
}

}  // namespace

struct ConnectionMeter::Parts {
  Parts(const Provider& p, const ConnectionFacts& f, const Clock& c, RecordSink& s)
      : provider(p), facts(f), clock(c), sink(s) {}

  CallMeter* call(http::ExchangeId id) {
    const auto found = calls.find(id);
    return found == calls.end() ? nullptr : found->second.get();
  }

  SocketMeter* socket(http::ExchangeId id) {
    const auto found = sockets.find(id);
    return found == sockets.end() ? nullptr : found->second.get();
  }

  // What comes from here on is not read: open turns are written as they are.
  void lose_socket(http::ExchangeId id, SocketMeter& socket) {
    socket.detach("observer_lost");
    add_unread(id, "observer_lost", socket.endpoint(), true);
    if (const auto entry = unread.find(id); entry != unread.end()) entry->second.upgraded = true;
    sockets.erase(id);
  }

  void add_unread(http::ExchangeId id, const char* reason, std::string_view detail,
                  bool websocket) {
    if (unread.size() == kMaxOpenCalls) {  // told at once, and without its size
      MissRecord miss;
      miss.at_us = clock.wall_us();
      miss.host = facts.host;
      miss.call_id = facts.call_id;
      miss.reason = reason;
      miss.detail = detail;
      counters::get("meter.unread_dropped").add();
      if (!sink.push(std::move(miss))) counters::get("meter.record_refused").add();
      return;
    }
    Unread& entry = unread[id];
    entry.started_us = clock.steady_us();
    entry.websocket = websocket;
    entry.miss.at_us = clock.wall_us();
    entry.miss.reason = reason;
    entry.miss.detail = detail;
  }

  void push_unread(Unread&& entry) {
    // A refused upgrade or call has used nothing.
    if (entry.websocket ? !entry.upgraded : entry.status >= 400) return;
    entry.miss.host = facts.host;
    entry.miss.call_id = facts.call_id;
    entry.miss.duration_us = clock.steady_us() - entry.started_us;
    if (!sink.push(std::move(entry.miss))) counters::get("meter.record_refused").add();
  }

  const Provider& provider;
  const ConnectionFacts& facts;
  const Clock& clock;
  RecordSink& sink;
  std::map<http::ExchangeId, std::unique_ptr<CallMeter>> calls;
  std::map<http::ExchangeId, std::unique_ptr<SocketMeter>> sockets;
  std::map<http::ExchangeId, Unread> unread;
  size_t exchanges = 0;  // begun and not ended
  bool detached = false;
};

ConnectionMeter::ConnectionMeter(const Provider& provider, const ConnectionFacts& facts,
                                 const Clock& clock, RecordSink& sink)
    : parts_(std::make_unique<Parts>(provider, facts, clock, sink)) {}

ConnectionMeter::~ConnectionMeter() = default;

size_t ConnectionMeter::open_calls() const {
  size_t open = parts_->calls.size();
  for (const auto& [id, socket] : parts_->sockets) open += socket->open_turns();
  return open;
}

size_t ConnectionMeter::open_exchanges() const {
  return parts_->exchanges;
}

void ConnectionMeter::on_request_head(http::ExchangeId id, const http::RequestHead& head) {
  Parts& parts = *parts_;
  if (parts.detached) return;
  ++parts.exchanges;
  const bool upgrade = asks_for_websocket(head);
  // The tables name WebSockets as HTTP/1.1 asks for them.
  std::string_view method = head.method;
  if (upgrade && method == "CONNECT") method = "GET";
  RouteMatch match = match_route(parts.provider, method, head.target, upgrade);
  if (match.route == nullptr) return counters::get("meter.side_traffic").add();
  const RouteUse use = match.route->use;
  const bool full = parts.calls.size() + parts.sockets.size() >= kMaxOpenCalls;
  if (SocketMeter::reads(*match.route) && !full) {
    parts.sockets[id] = std::make_unique<SocketMeter>(parts.provider, std::move(match), parts.facts,
                                                      parts.clock, parts.sink, head);
    return;
  }
  if (use == RouteUse::unmetered || use == RouteUse::websocket) {
    const bool websocket = use == RouteUse::websocket;
    return parts.add_unread(id, websocket ? "observer_unread" : "unmetered_path",
                            match.route->endpoint, websocket);
  }
  if (full) {
    return parts.add_unread(id, "observer_overload", match.route->endpoint, false);
  }
  parts.calls[id] = std::make_unique<CallMeter>(parts.provider, std::move(match), parts.facts,
                                                parts.clock, parts.sink, head);
}

void ConnectionMeter::on_request_body(http::ExchangeId id, Bytes body) {
  if (CallMeter* call = parts_->call(id)) return call->request_body(body);
  if (const auto found = parts_->unread.find(id); found != parts_->unread.end()) {
    found->second.miss.bytes_up += static_cast<int64_t>(body.size());
  }
}

void ConnectionMeter::on_request_end(http::ExchangeId id) {
  if (CallMeter* call = parts_->call(id)) call->request_end();
}

void ConnectionMeter::on_interim(http::ExchangeId, int) {}

void ConnectionMeter::on_response_head(http::ExchangeId id, const http::ResponseHead& head) {
  if (CallMeter* call = parts_->call(id)) return call->response_head(head);
  if (SocketMeter* socket = parts_->socket(id)) return socket->response_head(head);
  if (const auto found = parts_->unread.find(id); found != parts_->unread.end()) {
    found->second.status = head.status;
  }
}

void ConnectionMeter::on_response_body(http::ExchangeId id, Bytes body) {
  if (CallMeter* call = parts_->call(id)) return call->response_body(body);
  if (const auto found = parts_->unread.find(id); found != parts_->unread.end()) {
    found->second.miss.bytes_down += static_cast<int64_t>(body.size());
  }
}

void ConnectionMeter::on_trailers(http::ExchangeId, const std::vector<http::Header>&) {}

void ConnectionMeter::on_exchange_end(http::ExchangeId id, http::EndKind kind) {
  if (parts_->exchanges > 0) --parts_->exchanges;
  if (const auto found = parts_->calls.find(id); found != parts_->calls.end()) {
    const std::unique_ptr<CallMeter> call = std::move(found->second);
    parts_->calls.erase(found);
    return call->end(kind);
  }
  if (const auto found = parts_->sockets.find(id); found != parts_->sockets.end()) {
    const std::unique_ptr<SocketMeter> socket = std::move(found->second);
    parts_->sockets.erase(found);
    return socket->end(kind);
  }
  if (const auto found = parts_->unread.find(id); found != parts_->unread.end()) {
    Unread entry = std::move(found->second);
    parts_->unread.erase(found);
    parts_->push_unread(std::move(entry));
  }
}

void ConnectionMeter::on_upgrade(http::ExchangeId id) {
  if (SocketMeter* socket = parts_->socket(id)) {
    if (!socket->begin()) parts_->lose_socket(id, *socket);
    return;
  }
  if (const auto found = parts_->unread.find(id); found != parts_->unread.end()) {
    found->second.upgraded = true;
  }
}

void ConnectionMeter::on_upgraded_bytes(http::ExchangeId id, bool from_client, Bytes bytes) {
  if (SocketMeter* socket = parts_->socket(id)) {
    if (socket->feed(from_client, bytes)) return;
    parts_->lose_socket(id, *socket);  // the bytes that were none of a frame are the first unread
  }
  if (const auto found = parts_->unread.find(id); found != parts_->unread.end()) {
    MissRecord& miss = found->second.miss;
    (from_client ? miss.bytes_up : miss.bytes_down) += static_cast<int64_t>(bytes.size());
  }
}

void ConnectionMeter::detach(const char* reason) {
  if (parts_->detached) return;
  parts_->detached = true;
  auto calls = std::exchange(parts_->calls, {});
  for (auto& [id, call] : calls) call->detach(reason);
  auto sockets = std::exchange(parts_->sockets, {});
  for (auto& [id, socket] : sockets) socket->detach(reason);
  auto unread = std::exchange(parts_->unread, {});
  for (auto& [id, entry] : unread) parts_->push_unread(std::move(entry));
}

}  // namespace hm::meter
