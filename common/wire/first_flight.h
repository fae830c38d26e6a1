// May the first bytes of a client be sent a second time? Only a TLS handshake may: a request, with
// or without TLS around it, could be carried out twice. Pure.
#pragma once

#include <string_view>

namespace hm::wire {

// True when all records seen so far belong to a handshake (RFC 8446 5.1): no plain text, and no
// early data behind the ClientHello.
[[nodiscard]] bool is_handshake_only(std::string_view flight);

}  // namespace hm::wire
