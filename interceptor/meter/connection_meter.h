// Turns what the observer of one connection says into CallRecords: one CallMeter per exchange that
// a provider's table names, one SocketMeter per WebSocket, nothing for the rest. A socket that no
// meter reads is told as a miss, observer_unread; one whose frames are none, as observer_lost.
// Lives on the relay loop, owned by the tap, which guards every call (noexcept, purse). The sink,
// the clock and the provider must outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/key_print.h"
#include "interceptor/call_record.h"
#include "interceptor/http/exchange.h"
#include "interceptor/meter/provider.h"

namespace hm::meter {

// What is known of the connection; the attribution may become known after the first request began,
// so it is read when a record is finished.
struct ConnectionFacts {
  std::string host;     // the CONNECT host, lower case, without port
  std::string call_id;  // from the edge
  std::string transport = "h1";
  Attribution attribution;
  const KeyPrinter* key_printer = nullptr;  // null: keys leave no print
};

class ConnectionMeter final : public http::ExchangeEvents {
 public:
  ConnectionMeter(const Provider& provider, const ConnectionFacts& facts, const Clock& clock,
                  RecordSink& sink);
  ~ConnectionMeter();
  ConnectionMeter(const ConnectionMeter&) = delete;
  ConnectionMeter& operator=(const ConnectionMeter&) = delete;

  void on_request_head(http::ExchangeId id, const http::RequestHead& head) override;
  void on_request_body(http::ExchangeId id, Bytes body) override;
  void on_request_end(http::ExchangeId id) override;
  void on_interim(http::ExchangeId id, int status) override;
  void on_response_head(http::ExchangeId id, const http::ResponseHead& head) override;
  void on_response_body(http::ExchangeId id, Bytes body) override;
  void on_trailers(http::ExchangeId id, const std::vector<http::Header>& trailers) override;
  void on_exchange_end(http::ExchangeId id, http::EndKind kind) override;
  void on_upgrade(http::ExchangeId id) override;
  void on_upgraded_bytes(http::ExchangeId id, bool from_client, Bytes bytes) override;

  // The observer lost sync or the purse is empty: open calls are written as they stand, incomplete,
  // with this reason (observer_overload, undecodable, ...). Nothing is fed afterwards.
  void detach(const char* reason);

  [[nodiscard]] size_t open_calls() const;
  // Exchanges under way, those that are no calls included: a planned stop waits for them.
  [[nodiscard]] size_t open_exchanges() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::meter
