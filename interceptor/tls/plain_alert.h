// Watches a record stream for one thing: an unencrypted alert. A TLS 1.3 client that refuses our
// certificate may send its alert before it has switched to its handshake keys (OpenSSL does).
// BoringSSL then only sees a record that it cannot decrypt, and the reason would be lost.
//
// Pure; feed() in any cuts. A record of type 21 with a body of exactly two bytes is never an
// encrypted one: every cipher adds at least a tag (RFC 8446 5.2, RFC 5246 6.2.3).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"

namespace hm::tls {

class PlainAlertWatch {
 public:
  void feed(Bytes ciphertext);

  // Description of the last plain fatal alert (RFC 8446 6), -1 for none.
  [[nodiscard]] int alert() const { return alert_; }

 private:
  void header_complete();

  static constexpr size_t kHeader = 5;
  std::array<uint8_t, kHeader> header_{};
  size_t header_used_ = 0;
  size_t body_left_ = 0;
  bool in_alert_ = false;
  uint8_t level_ = 0;
  int alert_ = -1;
};

}  // namespace hm::tls
