// Root certificates, found by name when a chain needs one. Nearly all of the system's 140 are never
// asked for: parsing each of them was half of a start, and a megabyte of memory. Each is decoded
// and its subject is read; it becomes a certificate, in the store, the first time that a chain
// names it. Names are compared byte by byte. A chain that ends at a name which is not found so may
// still mean a root (RFC 5280 7.1: letters of another case, another string type): then, once, all
// are brought in. Private to this folder; loop thread.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace hm::tls {

class RootIndex {
 public:
  // Adds every certificate of a PEM text (RFC 7468); how many they were. What is none is left out.
  size_t add(std::string_view pem);

  // Puts the roots into the store that this chain may end at: those that have the name of an issuer
  // in it, or of one of its certificates, and so on upwards.
  void bring_in(X509_STORE* store, const STACK_OF(X509) * chain);

  // From now on `context` verifies with these roots, and owns them.
  static bool install(SSL_CTX* context, std::unique_ptr<RootIndex> roots);

  [[nodiscard]] size_t waiting() const { return by_subject_.size(); }  // not in the store yet

 private:
  void bring_in(X509_STORE* store, const std::string& name, int depth);
  void bring_all_in(X509_STORE* store);

  std::unordered_multimap<std::string, std::string> by_subject_;  // DER of name, of certificate
  std::unordered_set<std::string> in_store_;                      // names
};

}  // namespace hm::tls
