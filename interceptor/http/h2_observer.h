// Reads both directions of one HTTP/2 connection passively (RFC 9113) and says what it saw as
// exchanges, one for each stream that the client opens. Sans-I/O, no clock; used on the loop of its
// owner.
//
// The two directions must be fed in an order in which the connection can have carried them, as with
// H1Observer; how each is cut does not matter. Ends are told as there: a response that is whole
// before its request ends the exchange, RST_STREAM is reset or client_abort by its sender, and a
// stream that ends short of (or beyond) its content-length is eof_early. A GOAWAY of the origin
// ends the streams that it says were not processed as reset, and later ones are not told.
//
// Extended CONNECT (RFC 8441) is told as method CONNECT with a header ":protocol"; after a 2xx,
// DATA of both directions are upgraded bytes, and END_STREAM of the origin ends the exchange: as
// client_abort if the client's came first, else as complete. What an eager client sends before the
// answer is held, up to max_head a connection.
//
// Pushed streams, requests without a method or path, and streams beyond max_streams are read past
// and not told; the last two are counted (h2.malformed_requests, h2.streams_ignored). Their header
// blocks are still decompressed: losing step with HPACK would lose the connection.
//
// Kept: one unfinished head per direction, two dynamic tables of at most max_table, one small entry
// per open stream.
//
// Errors (it stays in them, and says nothing more; open exchanges are not ended): malformed (not
// HTTP/2, or a connection error that makes what follows unreliable); too_large (a head above
// max_head).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "interceptor/http/exchange.h"

namespace hm::http {

struct H2Limits {
  size_t max_head = 64 * 1024;      // decompressed bytes of one head, 32 beside each field
  size_t max_streams = 1024;        // open at once
  uint32_t max_table = 256 * 1024;  // dynamic table of either direction; clients and origins use 4
                                    // to 64 KiB
};

class H2Observer final : public ConnectionObserver {
 public:
  explicit H2Observer(ExchangeEvents& events, const H2Limits& limits = {});  // events outlive it
  ~H2Observer() override;
  H2Observer(const H2Observer&) = delete;
  H2Observer& operator=(const H2Observer&) = delete;

  [[nodiscard]] Result<void> from_client(Bytes bytes) override;
  [[nodiscard]] Result<void> from_origin(Bytes bytes) override;
  void client_ended(bool orderly) override;
  void origin_ended(bool orderly) override;
  [[nodiscard]] bool mid_message() const override;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::http
