// ClientHello out of BoringSSL's view of it. Private to this folder.
#pragma once

#include <openssl/ssl.h>

#include "interceptor/tls/client_hello.h"

namespace hm::tls {

// False when an extension that we read does not parse, or when nothing that this hello offers could
// end in a handshake with us (TLS 1.2 or 1.3, a P-256 certificate): then the call is better
// tunnelled.
[[nodiscard]] bool parse_client_hello(const SSL_CLIENT_HELLO& raw, ClientHello& out);

}  // namespace hm::tls
