// What an observer says about the exchanges of one client connection. One exchange is a request and
// its response; HTTP/1.1 has one at a time (or several in a row when pipelined), HTTP/2 many at
// once. Events are pushed while bytes pass; nothing is stored here. All spans die with the call.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace hm::http {

using ExchangeId = uint64_t;  // unique within the connection, in order of the requests

struct Header {
  std::string name;  // lower case
  std::string value;
};

struct RequestHead {
  std::string method;
  std::string target;     // path and query as sent
  std::string authority;  // Host or :authority, as sent
  std::string version;    // "1.0", "1.1", "2"
  std::vector<Header> headers;

  // First value, empty when absent. `name` in lower case.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct ResponseHead {
  int status = 0;
  std::string version;
  std::vector<Header> headers;

  [[nodiscard]] std::string_view header(std::string_view name) const;
};

// How the response of an exchange ended.
enum class EndKind : uint8_t {
  complete,      // transport says it is whole
  eof_early,     // closed before the announced or natural end
  reset,         // connection or stream reset by the origin's side
  client_abort,  // the client went first
};

class ExchangeEvents {
 public:
  virtual void on_request_head(ExchangeId id, const RequestHead& head) = 0;
  virtual void on_request_body(ExchangeId id,
                               Bytes body) = 0;  // transfer coding undone, content not
  virtual void on_request_end(ExchangeId id) = 0;
  virtual void on_interim(ExchangeId id, int status) = 0;  // 1xx but 101
  virtual void on_response_head(ExchangeId id, const ResponseHead& head) = 0;
  virtual void on_response_body(ExchangeId id, Bytes body) = 0;
  virtual void on_trailers(ExchangeId id, const std::vector<Header>& trailers) = 0;
  // Once per exchange whose request head was told, and last, but for upgrades.
  virtual void on_exchange_end(ExchangeId id, EndKind kind) = 0;
  // After 101 (or a 2xx to CONNECT): the connection is no longer HTTP. What follows is told as
  // upgraded bytes; on_exchange_end comes when the connection ends: client_abort when the client's
  // end came first, complete when the origin's did in good order, else reset.
  virtual void on_upgrade(ExchangeId id) = 0;
  virtual void on_upgraded_bytes(ExchangeId id, bool from_client, Bytes bytes) = 0;

 protected:
  ~ExchangeEvents() = default;
};

// Watches the plaintext of both directions of one connection. After an error it stays in error: the
// tap detaches it and the relay goes on. No clock, no I/O, nothing kept without a limit.
class ConnectionObserver {
 public:
  virtual ~ConnectionObserver() = default;
  [[nodiscard]] virtual Result<void> from_client(Bytes bytes) = 0;
  [[nodiscard]] virtual Result<void> from_origin(Bytes bytes) = 0;
  // Told once each. `orderly` is a FIN or close_notify; otherwise a reset. Open exchanges end
  // accordingly: if the client's end came first (and the response is not whole), client_abort.
  virtual void client_ended(bool orderly) = 0;
  virtual void origin_ended(bool orderly) = 0;
  // Has the client begun to say something (half a head, half a frame) that is no exchange yet?
  [[nodiscard]] virtual bool mid_message() const = 0;
};

}  // namespace hm::http
