// The end towards the origin, and both ends together.
#include <catch2/catch.hpp>

#include "tests/unit/tls/support.h"

namespace hm::test {
namespace {

using tls::Engine;
using Handshake = Engine::Handshake;

const Split kWhole{"whole", {SIZE_MAX}};

std::unique_ptr<tls::OriginSideContext> trusting(const TempFolder& dir, X509* root) {
  const auto file = dir.path() / "roots.pem";
  REQUIRE(replace_file(file, tls::to_pem(root)));
  auto context = tls::OriginSideContext::create({dir.path() / "none", file});
  REQUIRE(context);
  return std::move(*context);
}

PeerOptions serving(const Minted& minted, uint16_t version) {
  PeerOptions options;
  options.server = true;
  options.version = version;
  options.certificate = minted.certificate.get();
  options.key = minted.key.get();
  return options;
}

void nothing() {}

TEST_CASE("an origin is verified and asked for what the client offered") {
  const uint16_t version = GENERATE(as<uint16_t>{}, TLS1_2_VERSION, TLS1_3_VERSION);
  const auto offered = GENERATE(std::vector<std::string>{}, std::vector<std::string>{"http/1.1"},
                                std::vector<std::string>{"h2", "http/1.1"});
  const TempFolder dir;
  const Minted minted = mint_self_signed({});
  const auto context = trusting(dir, minted.certificate.get());
  for (const Split& split : standard_splits(900)) {
    CAPTURE(version, offered, split.name);
    PeerOptions options = serving(minted, version);
    options.alpn = {"h2", "http/1.1"};
    PlainPeer peer(options);
    const auto engine = Engine::towards_origin(*context, "api.example.com", offered);
    REQUIRE(shake(*engine, peer, split, nothing) == Handshake::done);
    CHECK(engine->alpn() == (offered.empty() ? "" : offered.front()));
    CHECK(std::string(SSL_get_servername(peer.raw(), TLSEXT_NAMETYPE_host_name)) ==
          "api.example.com");
    CHECK(engine->version() == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
    REQUIRE(engine->write(as_bytes("up")));
    peer.give(as_bytes(drain(*engine)));
    CHECK(peer.read() == "up");
  }
}

TEST_CASE("an address is verified as one and sends no server name") {
  const TempFolder dir;
  const std::string host = GENERATE("127.0.0.1", "::1", "[::1]");
  Minted minted;
  minted.key = tls::make_p256_key();
  const int64_t now = system_clock().wall_us() / 1'000'000;
  minted.certificate = tls::begin_certificate(minted.key.get(), {now - 100, now + 1000});
  REQUIRE(tls::add_extension(minted.certificate.get(), nullptr, NID_subject_alt_name,
                             "IP:127.0.0.1,IP:::1"));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(minted.certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const uint8_t*>("ip"), -1, -1, 0);
  X509_set_issuer_name(minted.certificate.get(), X509_get_subject_name(minted.certificate.get()));
  X509_sign(minted.certificate.get(), minted.key.get(), EVP_sha256());
  const auto context = trusting(dir, minted.certificate.get());
  PlainPeer peer(serving(minted, TLS1_3_VERSION));
  const auto engine = Engine::towards_origin(*context, host, {});
  REQUIRE(shake(*engine, peer, kWhole, nothing) == Handshake::done);
  CHECK(SSL_get_servername(peer.raw(), TLSEXT_NAMETYPE_host_name) == nullptr);

  PlainPeer second(serving(minted, TLS1_3_VERSION));
  const auto wrong = Engine::towards_origin(*context, "127.0.0.2", {});
  CHECK(shake(*wrong, second, kWhole, nothing) == Handshake::failed);
  CHECK(wrong->failure() == Engine::Failure::origin_unverified);
}

TEST_CASE("an origin that cannot be verified is told from other failures") {
  const uint16_t version = GENERATE(as<uint16_t>{}, TLS1_2_VERSION, TLS1_3_VERSION);
  const TempFolder dir;
  Minted minted;
  std::unique_ptr<tls::OriginSideContext> context;
  SECTION("a stranger's certificate") {
    minted = mint_self_signed({});
    context = trusting(dir, mint_self_signed({}).certificate.get());
  }
  SECTION("another name") {
    minted = mint_self_signed({"other.example.com"});
    context = trusting(dir, minted.certificate.get());
  }
  SECTION("expired") {
    minted = mint_self_signed({"api.example.com", -1000, -10});
    context = trusting(dir, minted.certificate.get());
  }
  SECTION("not yet valid") {
    minted = mint_self_signed({"api.example.com", 1000, 2000});
    context = trusting(dir, minted.certificate.get());
  }
  PlainPeer peer(serving(minted, version));
  const auto engine = Engine::towards_origin(*context, "api.example.com", {"h2"});
  CHECK(shake(*engine, peer, kWhole, nothing) == Handshake::failed);
  CHECK(engine->failure() == Engine::Failure::origin_unverified);
  CHECK(engine->error().detail != 0);
  CHECK_FALSE(engine->client_refusal());
}

TEST_CASE("an origin that asks for a client certificate is left alone") {
  const uint16_t version = GENERATE(as<uint16_t>{}, TLS1_2_VERSION, TLS1_3_VERSION);
  const TempFolder dir;
  const Minted minted = mint_self_signed({});
  const auto context = trusting(dir, minted.certificate.get());
  PeerOptions options = serving(minted, version);
  options.ask_client_certificate = true;
  PlainPeer peer(options);
  const auto engine = Engine::towards_origin(*context, "api.example.com", {});
  CHECK(shake(*engine, peer, kWhole, nothing) == Handshake::failed);
  CHECK(engine->failure() == Engine::Failure::client_certificate);
}

TEST_CASE("an origin that speaks no TLS") {
  const std::string input = GENERATE("HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n");
  const auto engine = Engine::towards_origin(*world().origin_side, "api.example.com", {});
  CHECK(engine->handshake() == Handshake::wants_bytes);
  REQUIRE(feed(*engine, input));
  CHECK(engine->handshake() == Handshake::failed);
  CHECK(engine->failure() == Engine::Failure::not_tls);
}

TEST_CASE("an origin's alert is kept") {
  const auto engine = Engine::towards_origin(*world().origin_side, "api.example.com", {});
  CHECK(engine->handshake() == Handshake::wants_bytes);
  REQUIRE(feed(*engine, std::string("\x15\x03\x03\x00\x02\x02\x28", 7)));
  CHECK(engine->handshake() == Handshake::failed);
  CHECK(engine->failure() == Engine::Failure::other);
  CHECK(engine->peer_alert() == 40);
  CHECK_FALSE(engine->client_refusal());
}

TEST_CASE("an impossible offer fails instead of being changed") {
  const auto engine =
      Engine::towards_origin(*world().origin_side, "api.example.com", {std::string(256, 'x')});
  CHECK(engine->handshake() == Handshake::failed);
  CHECK(engine->outgoing().empty());
  CHECK(Engine::towards_origin(*world().origin_side, "", {})->handshake() == Handshake::failed);
}

// Both of our ends, face to face.
struct Pair {
  std::unique_ptr<Engine> server = Engine::towards_client(*world().client_side);
  std::unique_ptr<Engine> client =
      Engine::towards_origin(*world().origin_side, "api.example.com", {"h2"});

  void carry() {
    REQUIRE(feed(*server, drain(*client)));
    REQUIRE(feed(*client, drain(*server)));
  }
  void shake_hands() {
    for (int i = 0; i < 8; ++i) {
      (void)client->handshake();
      if (server->handshake() == Handshake::paused)
        REQUIRE(server->answer(**world().leaves.leaf_for("api.example.com"), "h2"));
      (void)server->handshake();
      carry();
    }
    REQUIRE(client->handshake() == Handshake::done);
    REQUIRE(server->handshake() == Handshake::done);
    CHECK(client->alpn() == "h2");
  }
};

TEST_CASE("8 MiB pass both ways unchanged") {
  Pair pair;
  pair.shake_hands();
  std::string block(100'000, '\0');
  std::mt19937 random(7);
  for (char& c : block) c = static_cast<char>(random());
  size_t done = 0;
  bool same = true;
  while (done < 8U * 1024 * 1024) {
    REQUIRE(pair.client->write(as_bytes(block)));
    REQUIRE(pair.server->write(as_bytes(block)));
    pair.carry();
    auto last = Engine::Read::failed;
    same = same && read_all(*pair.server, last) == block;
    same = same && last == Engine::Read::wants_bytes;
    same = same && read_all(*pair.client, last) == block;
    done += block.size();
  }
  CHECK(same);
}

TEST_CASE("each direction ends on its own") {
  Pair pair;
  pair.shake_hands();
  Engine& first = GENERATE(true, false) ? *pair.client : *pair.server;
  Engine& second = &first == pair.client.get() ? *pair.server : *pair.client;
  REQUIRE(first.write(as_bytes("last words")));
  first.send_close_notify();
  const size_t queued = first.outgoing().size();
  first.send_close_notify();
  CHECK(first.outgoing().size() == queued);
  CHECK_FALSE(first.write(as_bytes("after the end")));
  REQUIRE(feed(second, drain(first)));
  auto last = Engine::Read::failed;
  CHECK(read_all(second, last) == "last words");
  CHECK(last == Engine::Read::ended);

  // The other direction goes on.
  REQUIRE(second.write(as_bytes("a late answer")));
  REQUIRE(feed(first, drain(second)));
  CHECK(read_all(first, last) == "a late answer");
  CHECK(last == Engine::Read::wants_bytes);
  second.send_close_notify();
  REQUIRE(feed(first, drain(second)));
  CHECK(read_all(first, last).empty());
  CHECK(last == Engine::Read::ended);
  CHECK(first.failure() == Engine::Failure::none);
  CHECK(second.failure() == Engine::Failure::none);
}

TEST_CASE("a missing close_notify never looks like an orderly end") {
  Pair pair;
  pair.shake_hands();
  REQUIRE(pair.server->write(as_bytes("half a")));
  const std::string record = drain(*pair.server);
  REQUIRE(feed(*pair.client, record.substr(0, record.size() - 1)));
  auto last = Engine::Read::failed;
  CHECK(read_all(*pair.client, last).empty());
  CHECK(last == Engine::Read::wants_bytes);
  REQUIRE(feed(*pair.client, record.substr(record.size() - 1)));
  CHECK(read_all(*pair.client, last) == "half a");
  CHECK(last == Engine::Read::wants_bytes);
}

TEST_CASE("a damaged record fails the read") {
  Pair pair;
  pair.shake_hands();
  REQUIRE(pair.server->write(as_bytes("text")));
  std::string record = drain(*pair.server);
  record.back() = static_cast<char>(record.back() ^ 1);
  REQUIRE(feed(*pair.client, record));
  auto last = Engine::Read::bytes;
  CHECK(read_all(*pair.client, last).empty());
  CHECK(last == Engine::Read::failed);
  CHECK(pair.client->failure() == Engine::Failure::other);
  CHECK(read_all(*pair.client, last).empty());
  CHECK(last == Engine::Read::failed);
}

TEST_CASE("key updates pass unnoticed") {
  const TempFolder dir;
  const Minted minted = mint_self_signed({});
  const auto context = trusting(dir, minted.certificate.get());
  PlainPeer peer(serving(minted, TLS1_3_VERSION));
  const auto engine = Engine::towards_origin(*context, "api.example.com", {});
  REQUIRE(shake(*engine, peer, kWhole, nothing) == Handshake::done);
  for (int i = 0; i < 5; ++i) {
    REQUIRE(SSL_key_update(peer.raw(), SSL_KEY_UPDATE_REQUESTED) == 1);
    REQUIRE(peer.write("down"));
    REQUIRE(feed(*engine, peer.take()));
    auto last = Engine::Read::failed;
    CHECK(read_all(*engine, last) == "down");
    REQUIRE(engine->write(as_bytes("up")));
    peer.give(as_bytes(drain(*engine)));
    CHECK(peer.read() == "up");
  }
}

}  // namespace
}  // namespace hm::test
