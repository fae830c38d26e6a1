#include "interceptor/tls/x509_tools.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>
#include <limits>

namespace hm::tls {
namespace {

std::string content_of(BIO* memory) {
  const uint8_t* data = nullptr;
  size_t length = 0;
  if (BIO_mem_contents(memory, &data, &length) != 1) return {};
  return {reinterpret_cast<const char*>(data), length};
}

bool set_random_serial(X509* certificate) {
  std::array<uint8_t, 16> bytes{};
  RAND_bytes(bytes.data(), bytes.size());
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0x7fU) | 0x40U);  // positive, never short
  const bssl::UniquePtr<BIGNUM> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool put_extension(X509* certificate, X509_EXTENSION* raw) {
  const bssl::UniquePtr<X509_EXTENSION> extension(raw);
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

}  // namespace

bssl::UniquePtr<EVP_PKEY> make_p256_key() {
  bssl::UniquePtr<EC_KEY> curve_key(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (curve_key == nullptr || key == nullptr || EC_KEY_generate_key(curve_key.get()) != 1 ||
      EVP_PKEY_set1_EC_KEY(key.get(), curve_key.get()) != 1)
    return nullptr;
  return key;
}

bssl::UniquePtr<X509> begin_certificate(EVP_PKEY* subject_key, const Validity& validity) {
  bssl::UniquePtr<X509> certificate(X509_new());
  if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      !set_random_serial(certificate.get()) ||
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), validity.not_before_s) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), validity.not_after_s) == nullptr ||
      X509_set_pubkey(certificate.get(), subject_key) != 1)
    return nullptr;
  return certificate;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  return put_extension(certificate, X509V3_EXT_nconf_nid(nullptr, &context, nid, value));
}

bool add_extension(X509* certificate, int nid, bool critical, void* value) {
  return value != nullptr &&
         put_extension(certificate, X509V3_EXT_i2d(nid, critical ? 1 : 0, value));
}

int64_t wall_of(const ASN1_TIME* time) {
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (epoch == nullptr || ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return 0;
  return (int64_t{days} * 86'400 + seconds) * 1'000'000;
}

std::string to_pem(X509* certificate) {
  const bssl::UniquePtr<BIO> memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || PEM_write_bio_X509(memory.get(), certificate) != 1) return {};
  return content_of(memory.get());
}

std::string to_pem(EVP_PKEY* key) {
  const bssl::UniquePtr<BIO> memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return {};
  return content_of(memory.get());
}

std::vector<bssl::UniquePtr<X509>> read_certificates(std::string_view pem) {
  std::vector<bssl::UniquePtr<X509>> found;
  if (pem.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return found;
  const bssl::UniquePtr<BIO> memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (memory == nullptr) return found;
  while (true) {
    ERR_clear_error();
    bssl::UniquePtr<X509> certificate(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
    if (certificate != nullptr) {
      found.push_back(std::move(certificate));
      continue;
    }
    // One block that does not parse was used up all the same; no block at all is the end.
    const uint32_t error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) break;
    if (BIO_eof(memory.get()) != 0) break;
  }
  ERR_clear_error();
  return found;
}

}  // namespace hm::tls
