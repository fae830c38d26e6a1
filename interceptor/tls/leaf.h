// What one handshake towards a client is answered with. Private to this folder.
#pragma once

#include <openssl/evp.h>
#include <openssl/pool.h>

namespace hm::tls {

struct Leaf {
  bssl::UniquePtr<CRYPTO_BUFFER> certificate;  // DER
  bssl::UniquePtr<CRYPTO_BUFFER> authority;    // DER, sent behind it
  bssl::UniquePtr<EVP_PKEY> key;
};

}  // namespace hm::tls
