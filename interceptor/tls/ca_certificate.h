// The CA's certificate itself: made for a list of hosts, and read back. No files. Private to this
// folder.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace hm::tls {

// Null when the list is empty or holds something that is neither a DNS name nor an IP literal, or
// when the library fails. Hosts as names.h's plain_host() gives them.
[[nodiscard]] bssl::UniquePtr<X509> make_ca_certificate(EVP_PKEY* key,
                                                        const std::vector<std::string>& hosts,
                                                        int64_t now_s);

// The permitted names and single addresses of its name constraints.
[[nodiscard]] std::set<std::string> permitted_hosts(X509* certificate);

}  // namespace hm::tls
