// The CA on disk, its constraints, and the leaves that it signs.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <thread>

#include "interceptor/tls/leaf.h"
#include "tests/unit/tls/support.h"

namespace hm::test {
namespace {

using tls::Authority;

constexpr int64_t kDayUs = 86'400'000'000;

mode_t mode_of(const std::filesystem::path& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777U;
}

bssl::UniquePtr<X509> certificate_of(const tls::Leaf& leaf) {
  return bssl::UniquePtr<X509>(X509_parse_from_buffer(leaf.certificate.get()));
}

// X509_V_OK or why not; time stands at `at_us`.
int verify(X509* root, X509* leaf, const std::string& host, int64_t at_us) {
  const bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), root);
  const bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf, nullptr);
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(param, at_us / 1'000'000);
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
  if (host == "127.0.0.1")
    X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str());
  else
    X509_VERIFY_PARAM_set1_host(param, host.data(), host.size());
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

TEST_CASE("a CA is made once and loaded afterwards") {
  const TempFolder dir;
  const auto folder = dir.path() / "deep" / "ca";
  const auto made = Authority::load_or_create(folder, metered(), system_clock());
  REQUIRE(made);
  CHECK(mode_of(folder) == 0700);
  CHECK(mode_of(folder / "ca-key.pem") == 0600);
  CHECK(mode_of(folder / "ca-cert.pem") == 0644);
  const int64_t left = (*made)->not_after_us() - system_clock().wall_us();
  CHECK(left > 1820 * kDayUs);
  CHECK(left < 1826 * kDayUs);
  const int64_t end_us = (*made)->not_after_us();
  CHECK((*made)->valid_at(system_clock().wall_us()));
  CHECK((*made)->valid_at(end_us));
  CHECK_FALSE((*made)->valid_at(end_us + 1'000'000));
  CHECK_FALSE((*made)->valid_at(end_us - 2000 * kDayUs));

  const auto loaded = Authority::load_or_create(folder, {"else.example.com"}, system_clock());
  REQUIRE(loaded);
  CHECK((*loaded)->certificate_pem() == (*made)->certificate_pem());
  CHECK((*loaded)->not_after_us() == (*made)->not_after_us());
  CHECK((*loaded)->covers("api.example.com"));
  CHECK_FALSE((*loaded)->covers("else.example.com"));

  const auto replaced = Authority::create(folder, {"else.example.com"}, system_clock());
  REQUIRE(replaced);
  CHECK((*replaced)->certificate_pem() != (*made)->certificate_pem());
  CHECK((*replaced)->covers("else.example.com"));
  CHECK(mode_of(folder / "ca-key.pem") == 0600);
  const auto again = Authority::load_or_create(folder, metered(), system_clock());
  REQUIRE(again);
  CHECK((*again)->certificate_pem() == (*replaced)->certificate_pem());
}

TEST_CASE("exactly the given hosts are covered") {
  const TempFolder dir;
  const auto authority = Authority::load_or_create(
      dir.path() / "ca", {"Api.Example.COM", "10.0.0.7", "::1"}, system_clock());
  REQUIRE(authority);
  const auto [host, covered] = GENERATE(table<std::string, bool>({{"api.example.com", true},
                                                                  {"API.example.com", true},
                                                                  {"api.example.com.", true},
                                                                  {"sub.api.example.com", false},
                                                                  {"example.com", false},
                                                                  {"xapi.example.com", false},
                                                                  {"", false},
                                                                  {"10.0.0.7", true},
                                                                  {"10.0.0.8", false},
                                                                  {"::1", true},
                                                                  {"[::1]", true},
                                                                  {"0:0:0:0:0:0:0:1", true},
                                                                  {"::2", false}}));
  CAPTURE(host);
  CHECK((*authority)->covers(host) == covered);
}

TEST_CASE("hosts that are none are refused") {
  const TempFolder dir;
  const std::string host = GENERATE("", "a b", "a,DNS:evil.example", "ü.example", "a..b", "*.x.y",
                                    "host:443", ".example.com");
  const auto authority = Authority::load_or_create(dir.path() / "ca", {host}, system_clock());
  REQUIRE_FALSE(authority);
  CHECK(authority.error().code == Code::malformed);
  CHECK_FALSE(Authority::load_or_create(dir.path() / "ca2", {}, system_clock()));
}

TEST_CASE("looser permissions are refused") {
  const TempFolder dir;
  const auto folder = dir.path() / "ca";
  REQUIRE(Authority::load_or_create(folder, metered(), system_clock()));
  SECTION("key for the group") {
    ::chmod((folder / "ca-key.pem").c_str(), 0640);
  }
  SECTION("key for all") {
    ::chmod((folder / "ca-key.pem").c_str(), 0604);
  }
  SECTION("folder for the group") {
    ::chmod(folder.c_str(), 0750);
  }
  const auto loaded = Authority::load_or_create(folder, metered(), system_clock());
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == Code::permission);
}

TEST_CASE("files that do not belong together or do not parse are malformed") {
  const TempFolder dir;
  const auto folder = dir.path() / "ca";
  REQUIRE(Authority::load_or_create(folder, metered(), system_clock()));
  const std::string key = *read_file(folder / "ca-key.pem");
  SECTION("another key") {
    REQUIRE(Authority::create(folder, metered(), system_clock()));
    REQUIRE(replace_file(folder / "ca-key.pem", key, 0600));
  }
  SECTION("key cut short") {
    REQUIRE(replace_file(folder / "ca-key.pem", key.substr(0, 80), 0600));
  }
  SECTION("empty certificate") {
    REQUIRE(replace_file(folder / "ca-cert.pem", "", 0644));
  }
  SECTION("key gone") {
    std::filesystem::remove(folder / "ca-key.pem");
  }
  SECTION("key is a link") {
    std::filesystem::rename(folder / "ca-key.pem", folder / "elsewhere.pem");
    std::filesystem::create_symlink(folder / "elsewhere.pem", folder / "ca-key.pem");
  }
  SECTION("a certificate that is no CA") {
    const Minted minted = mint_self_signed({});
    REQUIRE(replace_file(folder / "ca-key.pem", tls::to_pem(minted.key.get()), 0600));
    auto leaf = tls::begin_certificate(minted.key.get(), {0, 2'000'000'000});
    REQUIRE(tls::add_extension(leaf.get(), leaf.get(), NID_basic_constraints, "CA:FALSE"));
    X509_sign(leaf.get(), minted.key.get(), EVP_sha256());
    REQUIRE(replace_file(folder / "ca-cert.pem", tls::to_pem(leaf.get()), 0644));
  }
  const auto loaded = Authority::load_or_create(folder, metered(), system_clock());
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == Code::malformed);
}

TEST_CASE("an unfinished creation is made anew") {
  const TempFolder dir;
  const auto folder = dir.path() / "ca";
  REQUIRE(Authority::load_or_create(folder, metered(), system_clock()));
  std::filesystem::remove(folder / "ca-cert.pem");
  CHECK(Authority::load_or_create(folder, metered(), system_clock()));
  CHECK(Authority::load_or_create(folder, metered(), system_clock()));
}

TEST_CASE("starters at once end with one CA") {
  for (int round = 0; round < 5; ++round) {
    const TempFolder dir;
    std::vector<std::string> pems(6);
    std::vector<std::thread> starters;
    for (std::string& pem : pems)
      starters.emplace_back([&] {
        const auto made = Authority::load_or_create(dir.path() / "ca", metered(), system_clock());
        if (made) pem = (*made)->certificate_pem();
      });
    for (std::thread& starter : starters) starter.join();
    CHECK_FALSE(pems.front().empty());
    for (const std::string& pem : pems) CHECK(pem == pems.front());
  }
}

TEST_CASE("leaves verify strictly, for their host and their time only") {
  const TempFolder dir;
  ManualClock clock;
  const auto authority = *Authority::load_or_create(dir.path() / "ca", metered(), clock);
  tls::LeafCache leaves(*authority, clock);
  const auto root = tls::read_certificates(authority->certificate_pem());
  const std::string host = "api.example.com";  // this library cannot check IP constraints
  const auto leaf = certificate_of(**leaves.leaf_for(host));
  const int64_t now = clock.wall_us();
  CHECK(verify(root[0].get(), leaf.get(), host, now) == X509_V_OK);
  CHECK(verify(root[0].get(), leaf.get(), host, now - kDayUs + 1'000'000) == X509_V_OK);
  CHECK(verify(root[0].get(), leaf.get(), host, now - kDayUs - 1'000'000) != X509_V_OK);
  CHECK(verify(root[0].get(), leaf.get(), host, now + 5 * kDayUs) == X509_V_OK);
  CHECK(verify(root[0].get(), leaf.get(), host, now + 7 * kDayUs) != X509_V_OK);
  CHECK(verify(root[0].get(), leaf.get(), "other.example.org", now) != X509_V_OK);
}

TEST_CASE("the name constraints hold against a stolen key") {
  const TempFolder dir;
  const auto authority =
      *Authority::load_or_create(dir.path() / "ca", {"api.example.com"}, system_clock());
  const auto root = tls::read_certificates(authority->certificate_pem());
  const std::string key_pem = *read_file(dir.path() / "ca" / "ca-key.pem");
  const bssl::UniquePtr<BIO> memory(
      BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  const bssl::UniquePtr<EVP_PKEY> ca_key(
      PEM_read_bio_PrivateKey(memory.get(), nullptr, nullptr, nullptr));
  REQUIRE(ca_key != nullptr);
  const auto sign = [&](const char* name) {
    const auto key = tls::make_p256_key();
    const int64_t now = system_clock().wall_us() / 1'000'000;
    auto leaf = tls::begin_certificate(key.get(), {now - 10, now + 1000});
    X509_set_issuer_name(leaf.get(), X509_get_subject_name(root[0].get()));
    (void)tls::add_extension(leaf.get(), root[0].get(), NID_subject_alt_name, name);
    X509_sign(leaf.get(), ca_key.get(), EVP_sha256());
    return leaf;
  };
  const int64_t now = system_clock().wall_us();
  CHECK(verify(root[0].get(), sign("DNS:api.example.com").get(), "api.example.com", now) ==
        X509_V_OK);
  CHECK(verify(root[0].get(), sign("DNS:bank.example.org").get(), "bank.example.org", now) ==
        X509_V_ERR_PERMITTED_VIOLATION);
  CHECK(verify(root[0].get(), sign("IP:127.0.0.1").get(), "127.0.0.1", now) != X509_V_OK);
}

TEST_CASE("leaves are kept, renewed in time, and bounded") {
  const TempFolder dir;
  ManualClock clock;
  std::vector<std::string> hosts;
  for (int i = 0; i < 300; ++i) hosts.push_back("h" + std::to_string(i) + ".example.com");
  const auto authority = *Authority::load_or_create(dir.path() / "ca", hosts, clock);
  tls::LeafCache leaves(*authority, clock);
  const auto serial = [&](const std::string& host) {
    const auto leaf = certificate_of(**leaves.leaf_for(host));
    const ASN1_INTEGER* number = X509_get0_serialNumber(leaf.get());
    return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(number)),
                       static_cast<size_t>(ASN1_STRING_length(number)));
  };
  const std::string first = serial("h0.example.com");
  CHECK(first.size() == 16);
  CHECK(serial("h0.example.com") == first);
  CHECK(serial("h1.example.com") != first);
  clock.advance_us(4 * kDayUs);
  CHECK(serial("h0.example.com") == first);
  clock.advance_us(kDayUs + 1);
  const std::string renewed = serial("h0.example.com");
  CHECK(renewed != first);
  clock.advance_us(-30 * kDayUs);
  const std::string earlier = serial("h0.example.com");
  CHECK(earlier != renewed);
  for (int i = 0; i < 255; ++i) {  // h0 stays the least recently used but fits
    if (i != 0) (void)serial(hosts[static_cast<size_t>(i)]);
  }
  CHECK(serial("h0.example.com") == earlier);
  for (const std::string& host : hosts) (void)serial(host);
  CHECK(serial("h0.example.com") != earlier);

  const auto refused = leaves.leaf_for("elsewhere.example.com");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::refused);
}

TEST_CASE("OpenSSL's strict verification agrees") {
  if (std::system("openssl version >/dev/null 2>&1") != 0) {
    WARN("no openssl program here");
    return;
  }
  const TempFolder dir;
  const auto authority = *Authority::load_or_create(dir.path() / "ca", metered(), system_clock());
  tls::LeafCache leaves(*authority, system_clock());
  const auto run = [&](const std::string& leaf_host, const std::string& check) {
    const auto leaf = certificate_of(**leaves.leaf_for(leaf_host));
    REQUIRE(replace_file(dir.path() / "leaf.pem", tls::to_pem(leaf.get())));
    const std::string command = "openssl verify -x509_strict -purpose sslserver " + check +
                                " -CAfile '" + (dir.path() / "ca" / "ca-cert.pem").string() +
                                "' '" + (dir.path() / "leaf.pem").string() + "' >/dev/null 2>&1";
    return std::system(command.c_str());
  };
  CHECK(run("api.example.com", "-verify_hostname api.example.com") == 0);
  CHECK(run("api.example.com", "-verify_hostname other.example.org") != 0);
  CHECK(run("127.0.0.1", "-verify_ip 127.0.0.1") == 0);
}

}  // namespace
}  // namespace hm::test
