// The end towards the client: pause, answer, refusals, bytes that are no TLS.
#include <catch2/catch.hpp>

#include "tests/unit/tls/support.h"

namespace hm::test {
namespace {

using tls::Engine;
using Handshake = Engine::Handshake;

const Split kWhole{"whole", {SIZE_MAX}};
const Split kBytes{"bytes", {1}};

TEST_CASE("a client is answered after the pause, in every version and cut") {
  const uint16_t version = GENERATE(as<uint16_t>{}, TLS1_2_VERSION, TLS1_3_VERSION);
  const auto offered = GENERATE(std::vector<std::string>{}, std::vector<std::string>{"http/1.1"},
                                std::vector<std::string>{"h2", "http/1.1"});
  const std::string name = GENERATE("", "API.example.com");
  for (const std::string& chosen : std::vector<std::string>{"", "h2", "http/1.1"}) {
    if (!chosen.empty() && std::find(offered.begin(), offered.end(), chosen) == offered.end())
      continue;
    for (const Split& split : standard_splits(600)) {
      CAPTURE(version, offered, name, chosen, split.name);
      PeerOptions options;
      options.version = version;
      options.alpn = offered;
      options.server_name = name;
      options.trusted_pem = world().authority->certificate_pem();
      PlainPeer peer(options);
      const auto engine = Engine::towards_client(*world().client_side);
      int pauses = 0;
      const Handshake end = shake(*engine, peer, split, [&] {
        ++pauses;
        CHECK(engine->outgoing().empty());
        CHECK(engine->hello().server_name == (name.empty() ? "" : "api.example.com"));
        CHECK(engine->hello().alpn == offered);
        CHECK_FALSE(engine->hello().ech);
        CHECK(engine->hello().shape.size() == 16);
        REQUIRE(engine->answer(**world().leaves.leaf_for("api.example.com"), chosen));
      });
      REQUIRE(end == Handshake::done);
      CHECK(pauses == 1);
      CHECK(peer.handshake());
      CHECK(peer.alpn() == chosen);
      CHECK(engine->alpn() == chosen);
      CHECK(engine->version() == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"));
      CHECK(engine->failure() == Engine::Failure::none);
      CHECK(engine->peer_alert() == -1);
      CHECK(peer.write("hello up"));
      CHECK(feed(*engine, peer.take()));
      auto last = Engine::Read::failed;
      CHECK(read_all(*engine, last) == "hello up");
      CHECK(last == Engine::Read::wants_bytes);
      REQUIRE(engine->write(as_bytes("hello down")));
      peer.give(as_bytes(drain(*engine)));
      CHECK(peer.read() == "hello down");
    }
  }
}

TEST_CASE("nothing leaves before the answer, however often it is asked") {
  PeerOptions options;
  options.server_name = "api.example.com";
  PlainPeer peer(options);
  const auto engine = Engine::towards_client(*world().client_side);
  const auto& leaf = **world().leaves.leaf_for("api.example.com");
  CHECK_FALSE(engine->answer(leaf, ""));
  peer.handshake();
  const std::string hello = peer.take();
  for (const char byte : hello) {
    CHECK(engine->handshake() == Handshake::wants_bytes);
    CHECK(feed(*engine, std::string(1, byte)));
  }
  for (int i = 0; i < 3; ++i) CHECK(engine->handshake() == Handshake::paused);
  CHECK(engine->outgoing().empty());
  CHECK_FALSE(engine->write(as_bytes("too early")));
  size_t count = 0;
  std::vector<uint8_t> buffer(16);
  CHECK(engine->read(buffer, count) == Engine::Read::wants_bytes);
  engine->send_close_notify();
  CHECK(engine->outgoing().empty());
  SECTION("a protocol that was not offered is not taken") {
    CHECK_FALSE(engine->answer(leaf, "h2"));
    CHECK(engine->handshake() == Handshake::paused);
  }
  SECTION("one answer only") {
    CHECK(engine->answer(leaf, ""));
    CHECK_FALSE(engine->answer(leaf, ""));
    CHECK(engine->handshake() == Handshake::wants_bytes);
    CHECK_FALSE(engine->outgoing().empty());
  }
}

TEST_CASE("resumption with a ticket passes the pause as well") {
  const uint16_t version = GENERATE(as<uint16_t>{}, TLS1_2_VERSION, TLS1_3_VERSION);
  PeerOptions options;
  options.version = version;
  options.server_name = "api.example.com";
  bssl::UniquePtr<SSL_SESSION> session;
  std::string shape;
  for (const bool again : {false, true}) {
    PlainPeer peer(options);
    SSL_CTX* context = SSL_get_SSL_CTX(peer.raw());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    static SSL_SESSION* caught = nullptr;
    SSL_CTX_sess_set_new_cb(context, [](SSL*, SSL_SESSION* made) {
      if (caught != nullptr) SSL_SESSION_free(caught);
      caught = made;
      return 1;
    });
    if (again) SSL_set_session(peer.raw(), session.get());
    const auto engine = Engine::towards_client(*world().client_side);
    const Handshake end = shake(*engine, peer, kWhole, [&] {
      REQUIRE(engine->answer(**world().leaves.leaf_for("api.example.com"), ""));
    });
    REQUIRE(end == Handshake::done);
    REQUIRE(engine->write(as_bytes("x")));
    peer.give(as_bytes(drain(*engine)));
    CHECK(peer.read() == "x");
    CHECK((SSL_session_reused(peer.raw()) == 1) == again);
    if (again) CHECK(engine->hello().shape == shape);
    shape = engine->hello().shape;
    session.reset(caught);
    caught = nullptr;
  }
}

TEST_CASE("a client that refuses our certificate is recognised") {
  const uint16_t version = GENERATE(as<uint16_t>{}, TLS1_2_VERSION, TLS1_3_VERSION);
  const Split split = GENERATE(kWhole, kBytes);
  CAPTURE(version, split.name);
  const Minted stranger = mint_self_signed({});
  PeerOptions options;
  options.version = version;
  options.trusted_pem = tls::to_pem(stranger.certificate.get());
  PlainPeer peer(options);
  const auto engine = Engine::towards_client(*world().client_side);
  const Handshake end = shake(*engine, peer, split, [&] {
    REQUIRE(engine->answer(**world().leaves.leaf_for("api.example.com"), ""));
  });
  CHECK(end == Handshake::failed);
  CHECK(peer.failed());
  CHECK(engine->failure() == Engine::Failure::peer_refused);
  CHECK(engine->client_refusal());
  CHECK(engine->peer_alert() == SSL_AD_UNKNOWN_CA);
  CHECK(engine->error().detail == SSL_AD_UNKNOWN_CA);
}

TEST_CASE("an alert that TLS 1.3 sends unencrypted is understood too") {
  const int description = GENERATE(42, 43, 44, 45, 46, 48, 49, 51, 40, 80);
  const bool mistrust = description != 51 && description != 40 && description != 80;
  PlainPeer peer(PeerOptions{});
  const auto engine = Engine::towards_client(*world().client_side);
  peer.handshake();
  REQUIRE(feed(*engine, peer.take()));
  REQUIRE(engine->handshake() == Handshake::paused);
  REQUIRE(engine->answer(**world().leaves.leaf_for("api.example.com"), ""));
  REQUIRE(engine->handshake() == Handshake::wants_bytes);
  REQUIRE(feed(*engine, std::string("\x15\x03\x03\x00\x02\x02", 6)));
  REQUIRE(feed(*engine, std::string(1, static_cast<char>(description))));
  CHECK(engine->handshake() == Handshake::failed);
  CHECK(engine->peer_alert() == description);
  CHECK(engine->client_refusal() == mistrust);
  CHECK(engine->failure() == (mistrust ? Engine::Failure::peer_refused : Engine::Failure::other));
}

TEST_CASE("a refusal after the handshake is still one") {
  const uint16_t version = GENERATE(as<uint16_t>{}, TLS1_2_VERSION, TLS1_3_VERSION);
  PeerOptions options;
  options.version = version;
  PlainPeer peer(options);
  const auto engine = Engine::towards_client(*world().client_side);
  REQUIRE(shake(*engine, peer, kWhole, [&] {
            REQUIRE(engine->answer(**world().leaves.leaf_for("api.example.com"), ""));
          }) == Handshake::done);
  REQUIRE(SSL_send_fatal_alert(peer.raw(), SSL_AD_CERTIFICATE_UNKNOWN) != 0);
  REQUIRE(feed(*engine, peer.take()));
  auto last = Engine::Read::bytes;
  CHECK(read_all(*engine, last).empty());
  CHECK(last == Engine::Read::failed);
  CHECK(engine->client_refusal());
  CHECK(engine->peer_alert() == SSL_AD_CERTIFICATE_UNKNOWN);
  CHECK(engine->failure() == Engine::Failure::peer_refused);
}

TEST_CASE("bytes that are no TLS leave nothing behind") {
  const std::string input = GENERATE(
      std::string("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"), std::string("SSH-2.0-x\r\n"),
      std::string("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 11), std::string(300, '\0'),
      std::string("\x16\x03\x01\xff\xff", 5) + std::string(70'000, 'a'),
      std::string("\x16\x03\x01\x00\x00", 5) + std::string("\x16\x03\x01\x00\x00", 5) + "GET /",
      std::string("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9),
      std::string("\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00", 13),
      std::string("\x15\x03\x01\x00\x02\x02\x28", 7));
  for (const Split& split : standard_splits(input.size())) {
    CAPTURE(input.substr(0, 20), split.name);
    const auto engine = Engine::towards_client(*world().client_side);
    auto state = Handshake::wants_bytes;
    feed_split(as_bytes(input), split, [&](Bytes piece) {
      if (!engine->feed(piece)) return;
      state = engine->handshake();
      CHECK(engine->outgoing().empty());
    });
    CHECK(state == Handshake::failed);
    CHECK(engine->failure() == Engine::Failure::not_tls);
    CHECK_FALSE(engine->client_refusal());
    CHECK(engine->handshake() == Handshake::failed);
    CHECK_FALSE(engine->answer(**world().leaves.leaf_for("api.example.com"), ""));
  }
}

TEST_CASE("TLS that we cannot speak is found out before the answer") {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
  SECTION("TLS 1.1 at most") {
    SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
  }
  SECTION("RSA certificates only") {
    SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_strict_cipher_list(context.get(), "ECDHE-RSA-AES128-GCM-SHA256");
  }
  bssl::UniquePtr<SSL> ssl(SSL_new(context.get()));
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl.get());
  SSL_do_handshake(ssl.get());
  const uint8_t* data = nullptr;
  size_t length = 0;
  BIO_mem_contents(SSL_get_wbio(ssl.get()), &data, &length);
  const auto engine = Engine::towards_client(*world().client_side);
  REQUIRE(engine->feed(Bytes(data, length)));
  CHECK(engine->handshake() == Handshake::failed);
  CHECK(engine->failure() == Engine::Failure::not_tls);
  CHECK(engine->outgoing().empty());
}

TEST_CASE("unread ciphertext is bounded") {
  const auto engine = Engine::towards_client(*world().client_side);
  CHECK(feed(*engine, std::string("\x16\x03\x01\x02\x00", 5) + std::string(100, 'x')));
  const std::string much(1024 * 1024, 'x');
  CHECK_FALSE(feed(*engine, much));
}

std::string shape_of(const PeerOptions& options, bool grease) {
  PlainPeer peer(options);
  if (grease) {
    SSL_CTX_set_grease_enabled(SSL_get_SSL_CTX(peer.raw()), 1);
    SSL_CTX_set_permute_extensions(SSL_get_SSL_CTX(peer.raw()), 1);
  }
  bssl::UniquePtr<SSL> ssl(SSL_new(SSL_get_SSL_CTX(peer.raw())));
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl.get());
  std::string wire;
  for (const std::string& name : options.alpn) wire += static_cast<char>(name.size()) + name;
  SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const uint8_t*>(wire.data()),
                      static_cast<unsigned>(wire.size()));
  SSL_set_tlsext_host_name(ssl.get(), options.server_name.c_str());
  SSL_do_handshake(ssl.get());
  const uint8_t* data = nullptr;
  size_t length = 0;
  BIO_mem_contents(SSL_get_wbio(ssl.get()), &data, &length);
  const auto engine = Engine::towards_client(*world().client_side);
  REQUIRE(engine->feed(Bytes(data, length)));
  REQUIRE(engine->handshake() == Handshake::paused);
  CHECK(engine->hello().ech == false);
  return engine->hello().shape;
}

TEST_CASE("the shape tells stacks apart and nothing else") {
  PeerOptions options;
  options.server_name = "api.example.com";
  options.alpn = {"h2", "http/1.1"};
  const std::string plain = shape_of(options, false);
  CHECK(shape_of(options, false) == plain);
  PeerOptions other_host = options;
  other_host.server_name = "a-rather-longer-name.of-another-host.example.org";
  CHECK(shape_of(other_host, false) == plain);
  PeerOptions other_alpn = options;
  other_alpn.alpn = {"http/1.1"};
  CHECK(shape_of(other_alpn, false) != plain);
  PeerOptions other_version = options;
  other_version.version = TLS1_2_VERSION;
  CHECK(shape_of(other_version, false) != plain);
  // GREASE differs from hello to hello, and the order of extensions too.
  const std::string greased = shape_of(options, true);
  for (int i = 0; i < 8; ++i) CHECK(shape_of(options, true) == greased);
}

TEST_CASE("an encrypted ClientHello is noticed") {
  PlainPeer peer(PeerOptions{});
  SSL_set_enable_ech_grease(peer.raw(), 1);
  peer.handshake();
  const auto engine = Engine::towards_client(*world().client_side);
  REQUIRE(feed(*engine, peer.take()));
  REQUIRE(engine->handshake() == Handshake::paused);
  CHECK(engine->hello().ech);
}

}  // namespace
}  // namespace hm::test
