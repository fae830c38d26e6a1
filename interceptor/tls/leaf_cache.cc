#include "interceptor/tls/leaf_cache.h"

#include <openssl/nid.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <list>
#include <unordered_map>
#include <utility>

#include "common/base/bytes.h"
#include "interceptor/tls/authority_parts.h"
#include "interceptor/tls/engine_state.h"
#include "interceptor/tls/leaf.h"
#include "interceptor/tls/names.h"
#include "interceptor/tls/x509_tools.h"

namespace hm::tls {
namespace {

constexpr size_t kCapacity = 256;
constexpr int64_t kDay = 86'400;

bool add_subject_name(X509* certificate, const std::string& host) {
  const bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  const std::vector<uint8_t> address = ip_bytes(host);
  const bool is_ip = !address.empty();
  bssl::UniquePtr<ASN1_STRING> text(
      ASN1_STRING_type_new(is_ip ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING));
  const Bytes value = is_ip ? Bytes(address) : as_bytes(host);
  if (names == nullptr || name == nullptr || text == nullptr ||
      ASN1_STRING_set(text.get(), value.data(), static_cast<int>(value.size())) != 1)
    return false;
  GENERAL_NAME_set0_value(name.get(), is_ip ? GEN_IPADD : GEN_DNS, text.release());
  if (sk_GENERAL_NAME_push(names.get(), name.get()) == 0) return false;
  (void)name.release();
  // Critical, because the subject is empty (RFC 5280 4.2.1.6).
  return add_extension(certificate, NID_subject_alt_name, true, names.get());
}

}  // namespace

struct LeafCache::Parts {
  struct Entry {
    std::string host;
    int64_t renew_at_us = 0;  // wall
    int64_t begins_at_us = 0;
    Leaf leaf;
  };

  Parts(const Authority& from, const Clock& time) : authority(from), clock(time) {}

  [[nodiscard]] Result<Entry> mint(const std::string& host) const {
    const int64_t now_s = clock.wall_us() / 1'000'000;
    const Authority::Parts& ca = authority.parts();
    const Validity validity{now_s - kDay, std::min(now_s + 6 * kDay, ca.not_after_us / 1'000'000)};
    Entry entry{host, 0, 0, {}};
    bssl::UniquePtr<X509> certificate =
        key == nullptr ? nullptr : begin_certificate(key.get(), validity);
    X509* raw = certificate.get();
    X509* issuer = ca.certificate.get();
    const bool made = raw != nullptr &&
                      X509_set_issuer_name(raw, X509_get_subject_name(issuer)) == 1 &&
                      add_extension(raw, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                      add_extension(raw, issuer, NID_key_usage, "critical,digitalSignature") &&
                      add_extension(raw, issuer, NID_ext_key_usage, "serverAuth") &&
                      add_extension(raw, issuer, NID_subject_key_identifier, "hash") &&
                      add_extension(raw, issuer, NID_authority_key_identifier, "keyid:always") &&
                      add_subject_name(raw, host) && X509_sign(raw, ca.key.get(), EVP_sha256()) > 0;
    uint8_t* der = nullptr;
    const int length = made ? i2d_X509(raw, &der) : 0;
    if (length > 0)
      entry.leaf.certificate.reset(CRYPTO_BUFFER_new(der, static_cast<size_t>(length), nullptr));
    OPENSSL_free(der);
    if (entry.leaf.certificate == nullptr)
      return fail(Code::library, "leaf_cache.mint", take_library_error());
    entry.leaf.authority = bssl::UpRef(ca.der);
    entry.leaf.key = bssl::UpRef(key);
    entry.begins_at_us = validity.not_before_s * 1'000'000;
    entry.renew_at_us = (validity.not_after_s - kDay) * 1'000'000;
    return entry;
  }

  const Authority& authority;
  const Clock& clock;
  bssl::UniquePtr<EVP_PKEY> key = make_p256_key();  // one for all leaves of this process
  std::list<Entry> entries;                         // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> index;
};

LeafCache::LeafCache(const Authority& authority, const Clock& clock)
    : parts_(std::make_unique<Parts>(authority, clock)) {}
LeafCache::~LeafCache() = default;

Result<const Leaf*> LeafCache::leaf_for(const std::string& host) {
  Parts& parts = *parts_;
  if (const auto known = parts.index.find(host); known != parts.index.end()) {
    const auto entry = known->second;
    const int64_t now = parts.clock.wall_us();
    // A wall clock that was set back makes a leaf "not yet valid" as well.
    if (now < entry->renew_at_us && now >= entry->begins_at_us) {
      parts.entries.splice(parts.entries.begin(), parts.entries, entry);
      return &entry->leaf;
    }
    parts.entries.erase(entry);
    parts.index.erase(known);
  }
  if (!parts.authority.covers(host)) return fail(Code::refused, "leaf_cache.not_covered");

  auto minted = parts.mint(plain_host(host));
  if (!minted) return std::unexpected(minted.error());
  if (parts.entries.size() >= kCapacity) {
    parts.index.erase(parts.entries.back().host);
    parts.entries.pop_back();
  }
  minted->host = host;
  parts.entries.push_front(std::move(*minted));
  parts.index[host] = parts.entries.begin();
  return &parts.entries.front().leaf;
}

}  // namespace hm::tls
