// Roots of the origin side, the clients' bundle, and the watch for plain alerts.
#include <catch2/catch.hpp>

#include "interceptor/tls/plain_alert.h"
#include "interceptor/tls/trust_bundle.h"
#include "tests/unit/tls/support.h"

namespace hm::test {
namespace {

using tls::OriginSideContext;

std::string root_pem() {
  const Minted minted = mint_self_signed({});
  return tls::to_pem(minted.certificate.get());
}

TEST_CASE("roots come from the system's file and the extra one") {
  const TempFolder dir;
  const auto system = dir.path() / "system.pem";
  const auto extra = dir.path() / "extra.pem";
  const auto broken = dir.path() / "broken.pem";
  REQUIRE(replace_file(system, "# comment\n" + root_pem() + "\n" + root_pem()));
  REQUIRE(replace_file(extra, root_pem()));
  REQUIRE(replace_file(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  CHECK(OriginSideContext::create({system, {}}));
  CHECK(OriginSideContext::create({system, extra}));
  CHECK(OriginSideContext::create({dir.path() / "none", extra}));
  CHECK(OriginSideContext::create({dir.path() / "none", {}}).error().code == Code::not_found);
  CHECK(OriginSideContext::create({system, dir.path() / "none"}).error().code == Code::not_found);
  CHECK(OriginSideContext::create({system, broken}).error().code == Code::malformed);
}

TEST_CASE("one bad certificate does not cost the others") {
  const std::string good = root_pem();
  const std::string bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const std::string noise = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
  CHECK(tls::read_certificates(good + bad + good + "text\n" + noise + good).size() == 3);
  CHECK(tls::read_certificates("").empty());
  CHECK(tls::read_certificates("-----BEGIN CERTIFICATE-----\nAA").empty());
}

TEST_CASE("the bundle holds the system's roots and our CA once") {
  const TempFolder dir;
  const auto system = dir.path() / "system.pem";
  const auto bundle = dir.path() / "python" / "certifi" / "cacert.pem";
  REQUIRE(replace_file(system, "# roots\r\n" + root_pem() + "# " + std::string(tls::kBundleMark)));
  const std::string ours = root_pem();
  const tls::TrustBundleSources sources{system, {}, ours};

  CHECK_FALSE(tls::trust_bundle_holds(bundle, ours));
  CHECK(*tls::refresh_trust_bundle(sources, bundle));
  CHECK(tls::trust_bundle_holds(bundle, ours));
  CHECK_FALSE(*tls::refresh_trust_bundle(sources, bundle));
  const std::string content = *read_file(bundle);
  CHECK(tls::read_certificates(content).size() == 2);
  CHECK(content.find(tls::kBundleMark) == content.rfind(tls::kBundleMark));
  CHECK(std::filesystem::exists(bundle.parent_path() / "__init__.py"));
  // Another tool appends its own: ours is still there, and the next refresh takes the other away.
  REQUIRE(replace_file(bundle, content + "# corporate\n" + root_pem()));
  CHECK(tls::trust_bundle_holds(bundle, ours));
  CHECK(*tls::refresh_trust_bundle(sources, bundle));

  SECTION("another CA") {
    const std::string other = root_pem();
    CHECK(*tls::refresh_trust_bundle({system, {}, other}, bundle));
    CHECK(tls::trust_bundle_holds(bundle, other));
    CHECK_FALSE(tls::trust_bundle_holds(bundle, ours));
  }
  SECTION("changed roots") {
    REQUIRE(replace_file(system, root_pem() + root_pem()));
    CHECK(*tls::refresh_trust_bundle(sources, bundle));
    CHECK(tls::read_certificates(*read_file(bundle)).size() == 3);
  }
  SECTION("extra roots") {
    REQUIRE(replace_file(dir.path() / "extra.pem", root_pem()));
    CHECK(*tls::refresh_trust_bundle({system, {dir.path() / "extra.pem"}, ours}, bundle));
    CHECK(tls::read_certificates(*read_file(bundle)).size() == 3);
    CHECK_FALSE(tls::refresh_trust_bundle({system, {dir.path() / "none"}, ours}, bundle));
  }
  SECTION("newer roots that are the same ones: the bundle's time says that it was looked at") {
    const auto later = std::filesystem::last_write_time(bundle) - std::chrono::seconds(5);
    std::filesystem::last_write_time(system, later);
    std::filesystem::last_write_time(bundle, later - std::chrono::hours(1));
    CHECK_FALSE(*tls::refresh_trust_bundle(sources, bundle));
    CHECK(std::filesystem::last_write_time(bundle) > later);
    std::filesystem::last_write_time(bundle, later + std::chrono::seconds(1));
    CHECK_FALSE(*tls::refresh_trust_bundle(sources, bundle));
    CHECK(std::filesystem::last_write_time(bundle) == later + std::chrono::seconds(1));
  }
  SECTION("package file gone") {
    std::filesystem::remove(bundle.parent_path() / "__init__.py");
    CHECK(*tls::refresh_trust_bundle(sources, bundle));
    CHECK(std::filesystem::exists(bundle.parent_path() / "__init__.py"));
  }
  SECTION("no system roots: nothing is written") {
    const auto other = dir.path() / "other" / "certifi" / "cacert.pem";
    const auto made = tls::refresh_trust_bundle({dir.path() / "none", {}, ours}, other);
    CHECK(made.error().code == Code::not_found);
    CHECK_FALSE(std::filesystem::exists(other));
  }
  SECTION("Python finds it") {
    if (std::system("python3 -c '' >/dev/null 2>&1") == 0) {
      const std::string command = "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH='" +
                                  (dir.path() / "python").string() +
                                  "' python3 -c 'import certifi; assert certifi.contents() == "
                                  "open(certifi.where()).read(); assert certifi.where() == \"" +
                                  bundle.string() + "\"'";
      CHECK(std::system(command.c_str()) == 0);
      const std::string program =
          "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH='" + (dir.path() / "python").string() +
          "' python3 -c 'import certifi, certifi.core, subprocess, sys\n"
          "def told(*words): return subprocess.check_output([sys.executable, \"-m\", \"certifi\", "
          "*words], text=True)\n"
          "assert told() == certifi.core.where() + \"\\n\"\n"
          "assert told(\"--contents\") == certifi.contents() + \"\\n\"'";
      CHECK(std::system(program.c_str()) == 0);
    }
  }
}

TEST_CASE("plain alerts are seen in every cut, and nothing else is one") {
  const std::string hello = std::string("\x16\x03\x01\x00\x03", 5) + std::string("\x15\x03\x03", 3);
  const std::string encrypted = std::string("\x15\x03\x03\x00\x13", 5) + std::string(19, '\x02');
  const std::string empty = std::string("\x17\x03\x03\x00\x00", 5);
  const std::string warning = std::string("\x15\x03\x03\x00\x02\x01\x00", 7);
  const std::string fatal = std::string("\x15\x03\x03\x00\x02\x02\x30", 7);
  const auto [input, alert] =
      GENERATE_COPY(table<std::string, int>({{hello + encrypted + empty, -1},
                                             {hello + warning, -1},
                                             {hello + empty + fatal, 48},
                                             {fatal, 48},
                                             {fatal.substr(0, 6), -1},
                                             {std::string("GET / HTTP/1.1\r\n"), -1}}));
  for (const Split& split : standard_splits(input.size())) {
    CAPTURE(split.name);
    tls::PlainAlertWatch watch;
    feed_split(as_bytes(input), split, [&](Bytes piece) { watch.feed(piece); });
    CHECK(watch.alert() == alert);
  }
}

}  // namespace
}  // namespace hm::test
