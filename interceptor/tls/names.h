// Host names and IP literals, as certificates see them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hm::tls {

// Lower case, without the brackets of an IPv6 literal and without the dot of the root.
[[nodiscard]] std::string plain_host(std::string_view host);

// "127.0.0.1" or "::1", without brackets.
[[nodiscard]] bool is_ip_literal(const std::string& host);

// 4 or 16 bytes in network order; empty when it is no literal.
[[nodiscard]] std::vector<uint8_t> ip_bytes(const std::string& host);

// The one usual spelling of an address, for comparing.
[[nodiscard]] std::string canonical_ip(const std::string& literal);

// Letters, digits, hyphens, underscores and dots, at most 253 of them: nothing that could mean more
// than itself inside a certificate.
[[nodiscard]] bool is_dns_name(const std::string& host);

}  // namespace hm::tls
