// Reads along both directions of one WebSocket (RFC 6455), with permessage-deflate (RFC 7692) as
// agreed in the handshake, and pushes the payload of its messages on. The same over HTTP/1.1 and
// over HTTP/2 (RFC 8441). Sans-I/O, no clock; used on the loop of its owner.
//
// Messages are streamed: nothing of them is kept, whatever their size. Kept: one frame header per
// direction, and one inflater (about 75 KiB) per direction that was compressed at least once. Text
// is not checked for UTF-8: a character may be cut anywhere, and the ends do check.
//
// Errors (it stays in them, for both directions): malformed (reserved bits or opcodes, a client
// that does not mask or a server that does, fragments out of order, a broken control frame, broken
// compression); too_large (a message inflates beyond its budget); exhausted (no memory). It is as
// strict as the ends are, since a wrong frame means that the borders of frames are lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "interceptor/http/decoder.h"
#include "interceptor/http/exchange.h"

namespace hm::http {

// What the answer to the handshake agreed to. Window sizes do not matter for reading: the largest
// window reads them all.
struct WebSocketTerms {
  bool deflate = false;
  bool client_keeps_context = true;
  bool server_keeps_context = true;
};

// From Sec-WebSocket-Extensions of the answer (never of the offer). unsupported: another extension
// or an unknown parameter, after which frames mean nothing to us.
[[nodiscard]] Result<WebSocketTerms> websocket_terms(const ResponseHead& answer);

struct WebSocketLimits {
  // Of one compressed message. What comes uncompressed costs no more than its own bytes.
  uint64_t max_inflated = decoded_limit();
  // A bomb is told by its ratio, not looked at below `ratio_floor` bytes.
  uint64_t max_ratio = 250;
  uint64_t ratio_floor = 1024 * 1024;
};

class WebSocketEvents {
 public:
  virtual void on_message_begin(bool from_client) = 0;              // text and binary alike
  virtual void on_message_data(bool from_client, Bytes piece) = 0;  // never empty
  // `wire_bytes`: all frames of this direction since the end of the message before, as sent.
  virtual void on_message_end(bool from_client, uint64_t wire_bytes) = 0;
  // Nothing of this direction is told afterwards. No code: an empty close frame.
  virtual void on_close(bool from_client, std::optional<uint16_t> code) = 0;

 protected:
  ~WebSocketEvents() = default;
};

class WebSocketReader {
 public:
  // The events must outlive the reader.
  WebSocketReader(const WebSocketTerms& terms, WebSocketEvents& events,
                  const WebSocketLimits& limits = {});
  ~WebSocketReader();
  WebSocketReader(const WebSocketReader&) = delete;
  WebSocketReader& operator=(const WebSocketReader&) = delete;

  [[nodiscard]] Result<void> feed(bool from_client, Bytes bytes);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::http
