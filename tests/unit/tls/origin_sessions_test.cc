// Sessions that origins offer to resume: when one is used, and when not any more.
#include "interceptor/tls/origin_sessions.h"

#include <catch2/catch.hpp>

#include "tests/unit/tls/support.h"

namespace hm::test {
namespace {

using tls::Engine;
using tls::OriginSessions;
using Handshake = Engine::Handshake;

const Split kWhole{"whole", {SIZE_MAX}};

// An origin of which every connection is served with the same ticket keys.
struct Origin {
  const TempFolder dir;
  ManualClock clock;
  Minted minted = mint_self_signed({});
  std::unique_ptr<tls::OriginSideContext> context;
  uint16_t version = TLS1_3_VERSION;
  bool keeps_tickets = true;

  Origin() {
    const auto file = dir.path() / "roots.pem";
    REQUIRE(replace_file(file, tls::to_pem(minted.certificate.get())));
    auto made = tls::OriginSideContext::create({dir.path() / "none", file, true, &clock});
    REQUIRE(made);
    context = std::move(*made);
  }

  PeerOptions options() const {
    PeerOptions out;
    out.server = true;
    out.version = version;
    out.alpn = {"h2", "http/1.1"};
    out.certificate = minted.certificate.get();
    out.key = minted.key.get();
    return out;
  }

  // A whole connection; true when it resumed.
  bool connect(const std::vector<std::string>& alpn, const std::string& text = "down") {
    PlainPeer peer(options());
    const std::vector<uint8_t> keys(48, 7);
    if (keeps_tickets)
      SSL_CTX_set_tlsext_ticket_keys(SSL_get_SSL_CTX(peer.raw()), keys.data(), keys.size());
    const auto engine = Engine::towards_origin(*context, "api.example.com", alpn);
    REQUIRE(shake(*engine, peer, kWhole, [] {}) == Handshake::done);
    CHECK(engine->alpn() == (alpn.empty() ? "" : alpn.front()));
    REQUIRE(peer.write(text));
    REQUIRE(feed(*engine, peer.take()));
    Engine::Read last{};
    CHECK(read_all(*engine, last) == text);
    REQUIRE(engine->write(as_bytes("up")));
    peer.give(as_bytes(drain(*engine)));
    CHECK(peer.read() == "up");
    return engine->resumed();
  }
};

TEST_CASE("an origin's session is resumed by the next connection with the same offer") {
  Origin origin;
  origin.version = GENERATE(as<uint16_t>{}, TLS1_2_VERSION, TLS1_3_VERSION);
  CHECK_FALSE(origin.connect({"http/1.1"}));
  CHECK(origin.connect({"http/1.1"}));
  CHECK(origin.connect({"http/1.1"}));
  CHECK_FALSE(origin.connect({"h2", "http/1.1"}));  // another offer may be answered otherwise
  CHECK_FALSE(origin.connect({}));
}

TEST_CASE("an origin that no longer knows its tickets is shaken hands with in full") {
  Origin origin;
  CHECK_FALSE(origin.connect({"h2"}));
  origin.keeps_tickets = false;
  CHECK_FALSE(origin.connect({"h2"}));
  CHECK_FALSE(origin.connect({"h2"}));
}

TEST_CASE(
    "a certificate is looked at anew after ten minutes, however often a session was renewed") {
  Origin origin;
  CHECK_FALSE(origin.connect({"h2"}));
  for (int i = 0; i < 3; ++i) {
    origin.clock.advance_us(OriginSessions::kLifeUs / 4);
    CHECK(origin.connect({"h2"}));
  }
  origin.clock.advance_us(OriginSessions::kLifeUs / 4);
  CHECK_FALSE(origin.connect({"h2"}));
}

TEST_CASE("after a resumed handshake that came to nothing the next ones are in full") {
  Origin origin;
  CHECK_FALSE(origin.connect({"h2"}));
  {
    const auto engine = Engine::towards_origin(*origin.context, "api.example.com", {"h2"});
    static_cast<void>(engine->handshake());
    REQUIRE(feed(*engine, std::string("\x15\x03\x03\x00\x02\x02\x28", 7)));  // handshake_failure
    CHECK(engine->handshake() == Handshake::failed);
  }
  CHECK_FALSE(origin.connect({"h2"}));
  CHECK_FALSE(origin.connect({"h2"}));
  origin.clock.advance_us(OriginSessions::kLifeUs);
  CHECK_FALSE(origin.connect({"h2"}));
  CHECK(origin.connect({"h2"}));
}

TEST_CASE("with new roots nothing is resumed that was verified with the old ones") {
  Origin origin;
  CHECK_FALSE(origin.connect({"h2"}));
  const auto begun = Engine::towards_origin(*origin.context, "api.example.com", {"h2"});
  {
    auto fresh = tls::OriginSideContext::create(
        {origin.dir.path() / "none", origin.dir.path() / "roots.pem", true, &origin.clock});
    REQUIRE(fresh);
    origin.context->swap(**fresh);
  }
  CHECK_FALSE(origin.connect({"h2"}));
  CHECK(origin.connect({"h2"}));
  CHECK(begun->handshake() == Handshake::wants_bytes);  // what has begun keeps what it began with
}

TEST_CASE("the store of sessions has bounds") {
  ManualClock clock;
  OriginSessions sessions(clock);
  const bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  const auto session = [&] {
    bssl::UniquePtr<SSL_SESSION> made(SSL_SESSION_new(context.get()));
    SSL_SESSION_set_protocol_version(made.get(), TLS1_3_VERSION);
    return OriginSessions::Session{std::move(made), clock.steady_us()};
  };
  for (size_t i = 0; i <= OriginSessions::kMostKeys; ++i) {
    clock.advance_us(1);
    sessions.keep(std::to_string(i), session());
  }
  CHECK_FALSE(sessions.take("0"));
  CHECK(sessions.take("1"));
  sessions.keep("old", {session().session, clock.steady_us() - OriginSessions::kLifeUs});
  CHECK_FALSE(sessions.take("old"));
  CHECK(sessions.take("2"));  // an old one makes nobody leave
}

}  // namespace
}  // namespace hm::test
