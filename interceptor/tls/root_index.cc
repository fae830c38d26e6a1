#include "interceptor/tls/root_index.h"

#include <openssl/bytestring.h>
#include <openssl/err.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace hm::tls {
namespace {

constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
constexpr int kMostLevels = 8;  // of roots above a root that is none

constexpr std::array<int8_t, 256> kValueOf = [] {
  std::array<int8_t, 256> values{};
  values.fill(-1);
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<int8_t>(i);
  return values;
}();

// RFC 4648 section 4, with line ends in it. The library's takes the same time for every character,
// as is right for keys and is a fifth of a start for 200 KB of what everybody knows.
bool decode_base64(std::string_view text, std::string& out) {
  out.resize(text.size() / 4 * 3 + 3);
  char* to = out.data();
  uint32_t bits = 0;
  int have = 0;
  size_t padding = 0;
  size_t digits = 0;
  for (const char c : text) {
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    ++digits;
    if (c == '=') {
      ++padding;
      continue;
    }
    const int8_t value = kValueOf[static_cast<unsigned char>(c)];
    if (value < 0 || padding > 0) return false;
    bits = bits << 6 | static_cast<uint32_t>(value);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    *to++ = static_cast<char>(bits >> have & 0xff);
  }
  out.resize(static_cast<size_t>(to - out.data()));
  return digits % 4 == 0 && padding <= 2;
}

// RFC 5280 4.1: Certificate, TBSCertificate. Empty: not one.
std::string subject_of(const std::string& der) {
  CBS whole;
  CBS certificate;
  CBS fields;
  CBS subject;
  CBS_init(&whole, reinterpret_cast<const uint8_t*>(der.data()), der.size());
  constexpr unsigned kVersion = CBS_ASN1_CONSTRUCTED | CBS_ASN1_CONTEXT_SPECIFIC | 0;
  if (CBS_get_asn1(&whole, &certificate, CBS_ASN1_SEQUENCE) != 1 || CBS_len(&whole) != 0 ||
      CBS_get_asn1(&certificate, &fields, CBS_ASN1_SEQUENCE) != 1 ||
      CBS_get_optional_asn1(&fields, nullptr, nullptr, kVersion) != 1 ||
      CBS_get_asn1(&fields, nullptr, CBS_ASN1_INTEGER) != 1 ||   // serialNumber
      CBS_get_asn1(&fields, nullptr, CBS_ASN1_SEQUENCE) != 1 ||  // signature
      CBS_get_asn1(&fields, nullptr, CBS_ASN1_SEQUENCE) != 1 ||  // issuer
      CBS_get_asn1(&fields, nullptr, CBS_ASN1_SEQUENCE) != 1 ||  // validity
      CBS_get_asn1_element(&fields, &subject, CBS_ASN1_SEQUENCE) != 1)
    return {};
  return {reinterpret_cast<const char*>(CBS_data(&subject)), CBS_len(&subject)};
}

std::string encoded(X509_NAME* name) {
  uint8_t* bytes = nullptr;
  const int length = i2d_X509_NAME(name, &bytes);
  if (length <= 0) return {};
  std::string out(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
  OPENSSL_free(bytes);
  return out;
}

bssl::UniquePtr<X509> parsed(const std::string& der) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(der.data());
  return bssl::UniquePtr<X509>(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
}

int verify(X509_STORE_CTX* verification, void* argument) {
  auto& roots = *static_cast<RootIndex*>(argument);
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  if (ssl != nullptr)
    roots.bring_in(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)),
                   X509_STORE_CTX_get0_untrusted(verification));
  return X509_verify_cert(verification);
}

void drop(void* /*parent*/, void* roots, CRYPTO_EX_DATA* /*data*/, int /*index*/, long /*argl*/,
          void* /*argp*/) {
  delete static_cast<RootIndex*>(roots);
}

int our_place() {
  static const int place = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, drop);
  return place;
}

}  // namespace

size_t RootIndex::add(std::string_view pem) {
  size_t added = 0;
  while (true) {
    const size_t begin = pem.find(kBegin);
    if (begin == std::string_view::npos) return added;
    pem.remove_prefix(begin + kBegin.size());
    const size_t end = pem.find(kEnd);
    if (end == std::string_view::npos) return added;
    std::string der;
    if (decode_base64(pem.substr(0, end), der)) {
      if (std::string subject = subject_of(der); !subject.empty()) {
        by_subject_.emplace(std::move(subject), std::move(der));
        ++added;
      }
    }
    pem.remove_prefix(end + kEnd.size());
  }
}

void RootIndex::bring_in(X509_STORE* store, const STACK_OF(X509) * chain) {
  if (chain == nullptr) return;
  std::unordered_set<std::string> subjects;
  for (size_t i = 0; i < sk_X509_num(chain); ++i) {
    X509* certificate = sk_X509_value(chain, i);
    const std::string subject = encoded(X509_get_subject_name(certificate));
    bring_in(store, subject, 0);
    subjects.insert(subject);
  }
  for (size_t i = 0; i < sk_X509_num(chain); ++i) {
    const std::string issuer = encoded(X509_get_issuer_name(sk_X509_value(chain, i)));
    bring_in(store, issuer, 0);
    if (!subjects.contains(issuer) && !in_store_.contains(issuer)) bring_all_in(store);
  }
  ERR_clear_error();
}

void RootIndex::bring_in(X509_STORE* store, const std::string& name, int depth) {
  const auto [first, last] = by_subject_.equal_range(name);
  if (first == last || depth > kMostLevels) return;
  std::vector<bssl::UniquePtr<X509>> found;
  for (auto one = first; one != last; ++one) found.push_back(parsed(one->second));
  by_subject_.erase(first, last);
  in_store_.insert(name);
  for (const bssl::UniquePtr<X509>& root : found) {
    if (root == nullptr || X509_STORE_add_cert(store, root.get()) != 1) continue;
    bring_in(store, encoded(X509_get_issuer_name(root.get())), depth + 1);
  }
}

void RootIndex::bring_all_in(X509_STORE* store) {
  for (const auto& [subject, der] : by_subject_) {
    if (const bssl::UniquePtr<X509> root = parsed(der)) X509_STORE_add_cert(store, root.get());
    in_store_.insert(subject);
  }
  by_subject_.clear();
}

bool RootIndex::install(SSL_CTX* context, std::unique_ptr<RootIndex> roots) {
  RootIndex* installed = roots.get();
  if (our_place() < 0 || SSL_CTX_set_ex_data(context, our_place(), installed) != 1) return false;
  static_cast<void>(roots.release());  // the context's, see drop()
  SSL_CTX_set_cert_verify_callback(context, verify, installed);
  return true;
}

}  // namespace hm::tls
