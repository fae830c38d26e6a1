#include "interceptor/tls/hello_parser.h"

#include <openssl/bytestring.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace hm::tls {
namespace {

constexpr uint16_t kServerName = 0;
constexpr uint16_t kGroups = 10;
constexpr uint16_t kSignatures = 13;
constexpr uint16_t kAlpn = 16;
constexpr uint16_t kPadding = 21;
constexpr uint16_t kPreSharedKey = 41;
constexpr uint16_t kEarlyData = 42;
constexpr uint16_t kVersions = 43;
constexpr uint16_t kCookie = 44;
constexpr uint16_t kEncryptedClientHello = 0xfe0d;

constexpr uint16_t kTls12 = 0x0303;
constexpr uint16_t kTls13 = 0x0304;
constexpr uint16_t kEcdsaP256Sha256 = 0x0403;

using Numbers = std::vector<uint16_t>;

bool is_grease(uint16_t value) {  // RFC 8701 2: 0x0a0a, 0x1a1a, ... 0xfafa
  return (value & 0x0f0fU) == 0x0a0aU && value >> 8U == (value & 0xffU);
}

// Coming and going with resumption, retry or the length of the name: not the stack's own face.
bool varies(uint16_t extension) {
  return extension == kPadding || extension == kPreSharedKey || extension == kEarlyData ||
         extension == kCookie;
}

bool has(const Numbers& list, std::initializer_list<uint16_t> wanted) {
  return std::any_of(wanted.begin(), wanted.end(), [&](uint16_t value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  });
}

bool extension_body(const SSL_CLIENT_HELLO& raw, uint16_t type, CBS& body) {
  const uint8_t* data = nullptr;
  size_t length = 0;
  if (SSL_early_callback_ctx_extension_get(&raw, type, &data, &length) != 1) return false;
  CBS_init(&body, data, length);
  return true;
}

bool read_numbers(CBS list, Numbers& out) {
  while (CBS_len(&list) > 0) {
    uint16_t value = 0;
    if (CBS_get_u16(&list, &value) != 1) return false;
    if (!is_grease(value)) out.push_back(value);
  }
  return true;
}

// A list of 16-bit numbers with a length in front; absent is an empty list.
bool read_number_extension(const SSL_CLIENT_HELLO& raw, uint16_t type, bool short_length,
                           Numbers& out) {
  CBS body;
  CBS list;
  if (!extension_body(raw, type, body)) return true;
  const int framed = short_length ? CBS_get_u8_length_prefixed(&body, &list)
                                  : CBS_get_u16_length_prefixed(&body, &list);
  return framed == 1 && CBS_len(&body) == 0 && read_numbers(list, out);
}

bool read_extension_types(const SSL_CLIENT_HELLO& raw, Numbers& out) {
  CBS list;
  CBS_init(&list, raw.extensions, raw.extensions_len);
  while (CBS_len(&list) > 0) {
    uint16_t type = 0;
    CBS body;
    if (CBS_get_u16(&list, &type) != 1 || CBS_get_u16_length_prefixed(&list, &body) != 1)
      return false;
    if (!is_grease(type) && !varies(type)) out.push_back(type);
  }
  std::sort(out.begin(), out.end());  // some stacks shuffle them on purpose
  return true;
}

// RFC 6066 3. host_name is the only type there is.
bool read_server_name(const SSL_CLIENT_HELLO& raw, std::string& out) {
  CBS body;
  CBS list;
  CBS name;
  uint8_t type = 0;
  if (!extension_body(raw, kServerName, body)) return true;
  if (CBS_get_u16_length_prefixed(&body, &list) != 1 || CBS_get_u8(&list, &type) != 1 ||
      type != 0 || CBS_get_u16_length_prefixed(&list, &name) != 1)
    return false;
  if (CBS_len(&list) != 0 || CBS_len(&body) != 0 || CBS_len(&name) == 0 || CBS_len(&name) > 255)
    return false;
  for (size_t i = 0; i < CBS_len(&name); ++i) {
    const uint8_t c = CBS_data(&name)[i];
    if (c <= ' ' || c >= 0x7f) return false;
    out.push_back(static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c));
  }
  return true;
}

bool read_alpn(const SSL_CLIENT_HELLO& raw, std::vector<std::string>& out) {  // RFC 7301 3.1
  CBS body;
  CBS list;
  if (!extension_body(raw, kAlpn, body)) return true;
  if (CBS_get_u16_length_prefixed(&body, &list) != 1 || CBS_len(&body) != 0) return false;
  while (CBS_len(&list) > 0) {
    CBS name;
    if (CBS_get_u8_length_prefixed(&list, &name) != 1 || CBS_len(&name) == 0) return false;
    out.emplace_back(reinterpret_cast<const char*>(CBS_data(&name)), CBS_len(&name));
  }
  return true;
}

struct Offer {
  Numbers versions;
  Numbers ciphers;
  Numbers extensions;
  Numbers groups;
  Numbers signatures;
};

// What BoringSSL can do with an ECDSA P-256 certificate; a plain "no" here leaves the way to a raw
// tunnel open, while the same "no" after answer() would cost the call.
bool can_speak(const Offer& offer) {
  const bool group = offer.groups.empty() || has(offer.groups, {0x001d, 0x0017, 0x0018});
  const bool signature = offer.signatures.empty() || has(offer.signatures, {kEcdsaP256Sha256});
  if (!group || !signature) return false;
  if (has(offer.versions, {kTls13}) && has(offer.ciphers, {0x1301, 0x1302, 0x1303}) &&
      !offer.groups.empty() && !offer.signatures.empty())
    return true;
  return has(offer.versions, {kTls12}) &&
         has(offer.ciphers, {0xc02b, 0xc02c, 0xcca9, 0xc009, 0xc00a});
}

class ShapeHash {
 public:
  ShapeHash() { SHA256_Init(&state_); }

  void add(const Numbers& list) {
    add_number(list.size());
    for (const uint16_t value : list) add_number(value);
  }
  void add(const std::vector<std::string>& list) {
    add_number(list.size());
    for (const std::string& text : list) {
      add_number(text.size());
      SHA256_Update(&state_, text.data(), text.size());
    }
  }
  std::string hex16() {
    std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
    SHA256_Final(digest.data(), &state_);
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (size_t i = 0; i < 8; ++i) {
      text.push_back(kDigits[digest[i] >> 4U]);
      text.push_back(kDigits[digest[i] & 15U]);
    }
    return text;
  }

 private:
  void add_number(size_t value) {
    const std::array<uint8_t, 2> bytes{static_cast<uint8_t>(value >> 8U),
                                       static_cast<uint8_t>(value & 0xffU)};
    SHA256_Update(&state_, bytes.data(), bytes.size());
  }

  SHA256_CTX state_{};
};

}  // namespace

bool parse_client_hello(const SSL_CLIENT_HELLO& raw, ClientHello& out) {
  Offer offer;
  CBS ciphers;
  CBS_init(&ciphers, raw.cipher_suites, raw.cipher_suites_len);
  if (!read_numbers(ciphers, offer.ciphers) || !read_extension_types(raw, offer.extensions) ||
      !read_number_extension(raw, kVersions, true, offer.versions) ||
      !read_number_extension(raw, kGroups, false, offer.groups) ||
      !read_number_extension(raw, kSignatures, false, offer.signatures) ||
      !read_server_name(raw, out.server_name) || !read_alpn(raw, out.alpn))
    return false;

  CBS ignored;
  out.ech = extension_body(raw, kEncryptedClientHello, ignored);
  // Without supported_versions the old field speaks, and 1.3 cannot be meant (RFC 8446 4.2.1).
  if (!extension_body(raw, kVersions, ignored))
    offer.versions.push_back(std::min(raw.version, kTls12));

  ShapeHash shape;
  shape.add(Numbers{raw.version});
  shape.add(offer.versions);
  shape.add(offer.ciphers);
  shape.add(offer.extensions);
  shape.add(offer.groups);
  shape.add(offer.signatures);
  shape.add(out.alpn);
  out.shape = shape.hex16();
  return can_speak(offer);
}

}  // namespace hm::tls
