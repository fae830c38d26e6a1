// Roots that are brought in when a chain names them.
#include "interceptor/tls/root_index.h"

#include <catch2/catch.hpp>

#include "interceptor/tls/contexts.h"
#include "tests/unit/tls/support.h"

namespace hm::test {
namespace {

using tls::RootIndex;

size_t in_store(X509_STORE* store) {
  return sk_X509_OBJECT_num(X509_STORE_get0_objects(store));
}

struct Chain {
  bssl::UniquePtr<STACK_OF(X509)> certificates{sk_X509_new_null()};
  void add(X509* certificate) {
    X509_up_ref(certificate);
    sk_X509_push(certificates.get(), certificate);
  }
};

TEST_CASE("a root comes into the store when a chain names it, and only then") {
  std::string pem = "# roots\r\n";
  std::vector<Minted> roots;
  for (const char* name : {"one.example", "two.example", "three.example"}) {
    roots.push_back(mint_self_signed({.name = name}));
    pem += tls::to_pem(roots.back().certificate.get()) + "text between\n";
  }
  pem +=
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
      "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
      "-----BEGIN CERTIFICATE-----\nAA";
  RootIndex index;
  CHECK(index.add(pem) == 3);
  CHECK(index.waiting() == 3);
  const bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  Chain chain;
  chain.add(roots[1].certificate.get());
  index.bring_in(store.get(), chain.certificates.get());
  CHECK(in_store(store.get()) == 1);
  CHECK(index.waiting() == 2);
  index.bring_in(store.get(), chain.certificates.get());  // again: it is there
  CHECK(in_store(store.get()) == 1);
  CHECK(index.waiting() == 2);
  // A name that no root has, byte by byte: perhaps one has it in other letters.
  const Minted stranger = mint_self_signed({.name = "TWO.example"});
  const Minted leaf = mint_self_signed({.name = "leaf.example"});
  X509_set_issuer_name(leaf.certificate.get(), X509_get_subject_name(stranger.certificate.get()));
  Chain other;
  other.add(leaf.certificate.get());
  index.bring_in(store.get(), other.certificates.get());
  CHECK(in_store(store.get()) == 3);
  CHECK(index.waiting() == 0);
}

TEST_CASE("the system's own roots are all found") {
  const auto file = tls::system_root_bundle();
  if (file.empty()) return;
  const std::string pem = *read_file(file);
  const auto all = tls::read_certificates(pem);
  RootIndex index;
  REQUIRE(index.add(pem) == all.size());
  const bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  for (const auto& root : all) {
    Chain chain;
    chain.add(root.get());
    index.bring_in(store.get(), chain.certificates.get());
  }
  CHECK(index.waiting() == 0);
  CHECK(in_store(store.get()) == all.size());
}

}  // namespace
}  // namespace hm::test
