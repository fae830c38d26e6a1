// Names of TLS alerts (RFC 8446 section 6), for logs, misses and `status`.
#pragma once

namespace hm::relay {

[[nodiscard]] constexpr const char* alert_name(int alert) {
  switch (alert) {
    case 42:
      return "bad_certificate";
    case 43:
      return "unsupported_certificate";
    case 44:
      return "certificate_revoked";
    case 45:
      return "certificate_expired";
    case 46:
      return "certificate_unknown";
    case 48:
      return "unknown_ca";
    case 49:
      return "access_denied";
    default:
      return "alert";
  }
}

}  // namespace hm::relay
