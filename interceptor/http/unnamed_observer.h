// Watches a connection whose ends have agreed on no protocol by name (no ALPN): HTTP/1.x, or
// HTTP/2 with prior knowledge (RFC 9113 3.3), whose preface begins as no HTTP/1 request does.
//
// Kept until the client's first four bytes are here: these, and what the origin says meanwhile (an
// HTTP/2 server may speak first), 16 KiB at most; beyond it is read as HTTP/1.
#pragma once

#include <memory>
#include <string>

#include "interceptor/http/exchange.h"

namespace hm::http {

class UnnamedObserver final : public ConnectionObserver {
 public:
  explicit UnnamedObserver(ExchangeEvents& events) : events_(events) {}  // events outlive it

  [[nodiscard]] Result<void> from_client(Bytes bytes) override;
  [[nodiscard]] Result<void> from_origin(Bytes bytes) override;
  void client_ended(bool orderly) override;
  void origin_ended(bool orderly) override;
  [[nodiscard]] bool mid_message() const override;

  [[nodiscard]] bool http2() const { return http2_; }  // as far as known

 private:
  [[nodiscard]] Result<void> decide(bool http2);

  ExchangeEvents& events_;
  std::unique_ptr<ConnectionObserver> known_;
  std::string from_client_;
  std::string from_origin_;
  bool http2_ = false;
};

}  // namespace hm::http
