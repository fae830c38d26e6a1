// The inside of an Authority. Private to this folder.
#pragma once

#include <openssl/evp.h>
#include <openssl/pool.h>
#include <openssl/x509.h>

#include <cstdint>
#include <set>
#include <string>

#include "interceptor/tls/ca_store.h"

namespace hm::tls {

struct Authority::Parts {
  bssl::UniquePtr<X509> certificate;
  bssl::UniquePtr<CRYPTO_BUFFER> der;
  bssl::UniquePtr<EVP_PKEY> key;
  std::string pem;
  int64_t not_before_us = 0;  // wall
  int64_t not_after_us = 0;
  std::set<std::string> hosts;  // permitted, read back from the certificate; IP literals as printed
};

}  // namespace hm::tls
