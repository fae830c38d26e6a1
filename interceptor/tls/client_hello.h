// What a ClientHello asks for. Read by BoringSSL's parser in its certificate-selection callback.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hm::tls {

struct ClientHello {
  std::string server_name;        // SNI host_name, lower case; empty when absent
  std::vector<std::string> alpn;  // in the client's order; empty when absent
  bool ech = false;               // encrypted_client_hello present (outer names prove nothing)
  // A hash of what a TLS stack always sends alike: versions, cipher suites, extension types
  // (sorted, GREASE of RFC 8701 left out), groups, signature algorithms, ALPN. 16 hex digits. Two
  // programs on the same stack share it; one program with two stacks has two.
  std::string shape;
};

}  // namespace hm::tls
