// The tee. Shown every decrypted byte after it was written to the other side; hands it to the
// observer of the connection's protocol, which feeds the meter. Nothing in here can touch the call:
// look() is noexcept, catches everything, and on the first fault the tap detaches for good: calls
// under way become incomplete rows, and a miss row says that the rest of the connection was not
// read.
//
// A protocol that we relay but cannot read has no observer; it is recorded as seen but unread.
// Relay-loop thread only; provider, facts, clock and sink must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "interceptor/call_record.h"
#include "interceptor/http/exchange.h"
#include "interceptor/http/unnamed_observer.h"
#include "interceptor/meter/connection_meter.h"

namespace hm::relay {

class Tap {
 public:
  // The transport that records of such a connection name, for ConnectionFacts.
  [[nodiscard]] static std::string_view transport_of(std::string_view alpn);

  // `alpn` is what both sides agreed on, empty for none (HTTP/1.1 or 2: their bytes tell).
  Tap(const meter::Provider& provider, const meter::ConnectionFacts& facts, std::string_view alpn,
      const Clock& clock, RecordSink& sink);
  ~Tap();
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  void look(bool from_client, Bytes bytes) noexcept;
  // Once each. The later of the two ends the tap.
  void client_ended(bool orderly) noexcept;
  void origin_ended(bool orderly) noexcept;

  // Requests whose response is not whole, metered or not.
  [[nodiscard]] size_t open_exchanges() const noexcept;
  // The client has begun a request that is no exchange yet.
  [[nodiscard]] bool mid_message() const noexcept;
  // How many calls these bytes of the client, not looked at yet, may begin. For who must know
  // before they are forwarded. In doubt one, while nothing is under way; of HTTP/2 the frames that
  // open streams are counted (RFC 9113 3.4, 4.1, 6.2).
  [[nodiscard]] int64_t may_begin(Bytes from_client) const noexcept;
  // Calls that will have a row.
  [[nodiscard]] size_t open_calls() const noexcept;
  // No protocol was agreed on by name, and it turned out to be HTTP/2.
  [[nodiscard]] bool found_http2() const noexcept;
  // No observer: what passes cannot be told apart into calls.
  [[nodiscard]] bool unread() const { return unread_; }

 private:
  template <class Step>
  void guarded(Step&& step) noexcept;
  void detach(const char* reason, const Error& error) noexcept;
  void record_unread() noexcept;

  const meter::ConnectionFacts& facts_;
  const Clock& clock_;
  RecordSink& sink_;
  std::string alpn_;
  int64_t started_at_us_;  // wall
  int64_t started_us_;     // steady
  int64_t bytes_up_ = 0;
  int64_t bytes_down_ = 0;
  bool unread_ = false;
  bool client_over_ = false;
  bool origin_over_ = false;
  bool recorded_ = false;
  // The observer refers to the meter, so it is declared after it.
  std::unique_ptr<meter::ConnectionMeter> meter_;
  std::unique_ptr<http::ConnectionObserver> observer_;
  const http::UnnamedObserver* unnamed_ = nullptr;  // observer_, while it is one
  bool found_http2_ = false;
};

}  // namespace hm::relay
