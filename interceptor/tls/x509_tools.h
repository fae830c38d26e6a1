// The few X.509 things that CA, leaves and root loading share. Private to this folder.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hm::tls {

[[nodiscard]] bssl::UniquePtr<EVP_PKEY> make_p256_key();  // null on failure

struct Validity {
  int64_t not_before_s = 0;  // seconds since the Unix epoch
  int64_t not_after_s = 0;
};

// A version 3 certificate with a random serial of 128 bits (RFC 5280 4.1.2.2), validity and key
// set.
[[nodiscard]] bssl::UniquePtr<X509> begin_certificate(EVP_PKEY* subject_key,
                                                      const Validity& validity);
// `value` in the notation of OpenSSL's configuration files: never with text from outside in it.
[[nodiscard]] bool add_extension(X509* certificate, X509* issuer, int nid, const char* value);
[[nodiscard]] bool add_extension(X509* certificate, int nid, bool critical, void* value);

[[nodiscard]] int64_t wall_of(const ASN1_TIME* time);  // microseconds, 0 on failure

[[nodiscard]] std::string to_pem(X509* certificate);  // empty on failure
[[nodiscard]] std::string to_pem(EVP_PKEY* key);      // PKCS #8, not encrypted

// Every certificate of a PEM text; what does not parse is left out.
[[nodiscard]] std::vector<bssl::UniquePtr<X509>> read_certificates(std::string_view pem);

}  // namespace hm::tls
