#include "interceptor/tls/ca_certificate.h"

#include <arpa/inet.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "common/base/bytes.h"
#include "interceptor/tls/names.h"
#include "interceptor/tls/x509_tools.h"

namespace hm::tls {
namespace {

constexpr int64_t kDay = 86'400;
constexpr int64_t kLifetime = 5 * 365 * kDay;

bool set_name(X509* certificate) {
  std::array<uint8_t, 4> random{};
  RAND_bytes(random.data(), random.size());
  std::array<char, 64> text{};
  // The random part keeps the CAs of two machines, or of yesterday and today, apart in a trust
  // store.
  std::snprintf(text.data(), text.size(), "Halton Meter local CA %02x%02x%02x%02x", random[0],
                random[1], random[2], random[3]);
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* common_name = reinterpret_cast<const uint8_t*>(text.data());
  return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
                                    reinterpret_cast<const uint8_t*>("Halton Meter"), -1, -1,
                                    0) == 1 &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, common_name, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1;
}

// A subtree takes its name over; on failure nothing leaks.
bool push_subtree(STACK_OF(GENERAL_SUBTREE) * &list, int type, Bytes value) {
  if (list == nullptr) list = sk_GENERAL_SUBTREE_new_null();
  bssl::UniquePtr<GENERAL_SUBTREE> subtree(GENERAL_SUBTREE_new());
  bssl::UniquePtr<ASN1_STRING> text(
      ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING));
  if (list == nullptr || subtree == nullptr || text == nullptr ||
      ASN1_STRING_set(text.get(), value.data(), static_cast<int>(value.size())) != 1)
    return false;
  GENERAL_NAME_set0_value(subtree->base, type, text.release());
  if (sk_GENERAL_SUBTREE_push(list, subtree.get()) == 0) return false;
  (void)subtree.release();
  return true;
}

// RFC 5280 4.2.1.10: a DNS name permits itself and what is below it; an address comes with a mask.
// A kind of name that no subtree mentions is not constrained at all, so each kind that we do not
// need is excluded as a whole.
bool add_constraints(X509* certificate, const std::vector<std::string>& hosts) {
  const bssl::UniquePtr<NAME_CONSTRAINTS> constraints(NAME_CONSTRAINTS_new());
  if (constraints == nullptr || hosts.empty()) return false;
  bool dns = false;
  bool ipv4 = false;
  bool ipv6 = false;
  for (const std::string& host : hosts) {
    std::vector<uint8_t> address = ip_bytes(host);
    if (!address.empty()) {
      (address.size() == 4 ? ipv4 : ipv6) = true;
      address.insert(address.end(), address.size(), 0xff);
      if (!push_subtree(constraints->permittedSubtrees, GEN_IPADD, address)) return false;
    } else {
      dns = true;
      if (!is_dns_name(host) ||
          !push_subtree(constraints->permittedSubtrees, GEN_DNS, as_bytes(host)))
        return false;
    }
  }
  const std::array<uint8_t, 32> any{};  // address and mask all zero: every address
  if (!ipv4 && !push_subtree(constraints->excludedSubtrees, GEN_IPADD, Bytes(any).first(8)))
    return false;
  if (!ipv6 && !push_subtree(constraints->excludedSubtrees, GEN_IPADD, any)) return false;
  if (!dns && !push_subtree(constraints->excludedSubtrees, GEN_DNS, {})) return false;
  return add_extension(certificate, NID_name_constraints, true, constraints.get());
}

std::string host_of(const GENERAL_NAME& name) {
  if (name.type == GEN_DNS) {
    const ASN1_STRING* text = name.d.dNSName;
    return plain_host(
        as_text(Bytes(ASN1_STRING_get0_data(text), static_cast<size_t>(ASN1_STRING_length(text)))));
  }
  if (name.type != GEN_IPADD) return {};
  const uint8_t* data = ASN1_STRING_get0_data(name.d.iPAddress);
  const int length = ASN1_STRING_length(name.d.iPAddress);
  if (length != 8 && length != 32) return {};
  const int half = length / 2;
  const auto whole = [](uint8_t mask) { return mask == 0xff; };
  if (!std::all_of(data + half, data + length, whole)) return {};  // a net, not one host
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = half == 4 ? AF_INET : AF_INET6;
  return inet_ntop(family, data, text.data(), text.size()) == nullptr ? std::string()
                                                                      : std::string(text.data());
}

}  // namespace

bssl::UniquePtr<X509> make_ca_certificate(EVP_PKEY* key, const std::vector<std::string>& hosts,
                                          int64_t now_s) {
  bssl::UniquePtr<X509> certificate =
      begin_certificate(key, {now_s - kDay, now_s - kDay + kLifetime});
  if (certificate == nullptr) return nullptr;
  X509* raw = certificate.get();
  const bool made = set_name(raw) &&
                    add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    add_extension(raw, raw, NID_subject_key_identifier, "hash") &&
                    add_extension(raw, raw, NID_authority_key_identifier, "keyid:always") &&
                    add_constraints(raw, hosts) && X509_sign(raw, key, EVP_sha256()) > 0;
  if (!made) return nullptr;
  return certificate;
}

std::set<std::string> permitted_hosts(X509* certificate) {
  std::set<std::string> hosts;
  const bssl::UniquePtr<NAME_CONSTRAINTS> constraints(static_cast<NAME_CONSTRAINTS*>(
      X509_get_ext_d2i(certificate, NID_name_constraints, nullptr, nullptr)));
  if (constraints == nullptr) return hosts;
  for (size_t i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); ++i) {
    const GENERAL_SUBTREE* subtree = sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i);
    if (std::string host = host_of(*subtree->base); !host.empty()) hosts.insert(std::move(host));
  }
  return hosts;
}

}  // namespace hm::tls
