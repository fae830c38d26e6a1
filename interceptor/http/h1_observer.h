// Reads both directions of one HTTP/1.x connection in step (RFC 9112) and says what it saw as
// exchanges. Sans-I/O, no clock; used on the loop of its owner.
//
// The two directions must be fed in an order in which the connection can have carried them: a
// response only after the head of its request. How each direction is cut does not matter.
//
// A response that is whole before its request is (413, 401, 429) ends the exchange there and then;
// what the client still uploads for it is read but not told. Trailers are told of responses only.
// What a client sends between a request for another protocol and its answer is held, up to
// max_head.
//
// Kept: one unfinished head per direction (or trailer section), and one small entry per request
// that has no whole response yet. Bodies are pushed on as spans of the input and never kept.
//
// Errors (it stays in them, and says nothing more): malformed; too_large (a head or a trailer
// section above the limit, a line of chunk framing above 4 KiB, too many requests in flight);
// unsupported (the HTTP/2 preface, a version other than 1.x, a transfer coding other than chunked).
// An error does not end the open exchanges: the owner knows them, and that this observer has
// nothing more to say.
#pragma once

#include <cstddef>
#include <memory>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "interceptor/http/exchange.h"

namespace hm::http {

struct H1Limits {
  size_t max_head = 64 * 1024;  // bytes of one head, line ends included; trailers alike
  size_t max_in_flight = 64;    // requests whose response is not whole yet (pipelining)
};

class H1Observer final : public ConnectionObserver {
 public:
  explicit H1Observer(ExchangeEvents& events, const H1Limits& limits = {});  // events outlive it
  ~H1Observer() override;
  H1Observer(const H1Observer&) = delete;
  H1Observer& operator=(const H1Observer&) = delete;

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
