#include <unistd.h>

#include <filesystem>

#include "common/net/control_socket.h"
#include "common/wire/ask.h"
#include "tests/unit/net/dial_support.h"
#include "tests/unit/relay/relay_world.h"

using hm::relay::test::answer;
using hm::relay::test::kHost;
using hm::relay::test::kQuestion;
using hm::relay::test::kUsage;
using hm::relay::test::ours;
using hm::relay::test::Peer;
using hm::relay::test::rogue;
using hm::relay::test::theirs;
using hm::relay::test::World;

namespace {

std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

void close_in_order(World& world, Peer& client) {
  client.engine->send_close_notify();
  client.half_close();
  REQUIRE(world.until([&] { return world.origin().end; }));
  world.origin().engine->send_close_notify();
  world.origin().half_close();
  REQUIRE(world.until([&] { return world.idle(); }));
}

}  // namespace

TEST_CASE("a metered call: the same bytes, one row, known by its process") {
  World world;
  Peer& client = world.metered();
  client.say(kQuestion);
  REQUIRE(world.until([&] { return world.origin().text == kQuestion; }));
  world.origin().say(answer(kUsage));
  REQUIRE(world.until([&] { return client.text == answer(kUsage); }));
  REQUIRE(world.until([&] { return !world.rows.calls.empty(); }));
  close_in_order(world, client);
  CHECK(client.goodbye);
  CHECK(world.origin().goodbye);
  REQUIRE(world.rows.calls.size() == 1);
  CHECK(world.rows.calls[0].usage.output_tokens == 7);
  CHECK(world.rows.calls[0].attribution.client_pid == ::getpid());
  CHECK(world.rows.misses.empty());
}

TEST_CASE("while the origin's connection is not there the edge is told that we are at it") {
  const hm::net::test::BlackHole hole;
  World world;
  world.dial.connect_to[kHost + ":443"] = "127.0.0.1:" + std::to_string(hole.port);
  Peer& client = world.connect();
  client.say("CONNECT " + kHost + ":443 HTTP/1.1\r\n\r\n");
  REQUIRE(world.until([&] { return client.raw.ends_with("\r\n\r\n"); }));
  CHECK(client.raw.starts_with("HTTP/1.1 102 "));
  world.settle();
  CHECK(client.raw.find(" 102 ") == client.raw.rfind(" 102 "));
  CHECK(client.raw.find(" 200 ") == std::string::npos);
}

TEST_CASE("a row waits for a name that comes after the connection has gone") {
  World world;
  Peer& client = world.metered();
  client.say(kQuestion);
  REQUIRE(world.until([&] { return world.origin().text == kQuestion; }));
  world.origin().say(answer(kUsage));
  client.fd.abort();
  REQUIRE(world.until([&] { return world.idle(); }));
  CHECK(world.rows.calls.size() == 1);
}

TEST_CASE("a hello that comes byte by byte is answered") {
  World world;
  Peer& client = world.tunnel();
  world.start_tls(client, *ours().trusting);
  client.sending = false;
  world.settle(10);
  std::string hello;
  hello.swap(client.out);
  REQUIRE(hello.size() > 100);
  for (const char byte : hello) {
    REQUIRE(client.fd.send_some(std::string_view(&byte, 1)) == 1);
    if (static_cast<unsigned char>(byte) % 16 == 0) world.settle(1);
  }
  client.sending = true;
  REQUIRE(world.until([&] { return client.shaken; }));
}

TEST_CASE("another server name goes raw, untouched") {
  World world;
  Peer& client = world.tunnel();
  // The origin's end answers for any name; the client's verification is not the point here.
  world.start_tls(client, *theirs().trusting, "elsewhere.example");
  REQUIRE(world.until([&] { return client.failed; }));
  client.fd.close();
  REQUIRE(world.until([&] { return world.origin().end || world.origin().reset; }));
  world.origin().fd.close();
  REQUIRE(world.until([&] { return world.idle(); }));
  REQUIRE(world.rows.misses.size() == 1);
  CHECK(world.rows.misses[0].reason == "sni_mismatch");
  CHECK(world.rows.misses[0].bytes_up > 0);
  CHECK(world.origins.size() == 1);
}

TEST_CASE("an origin that cannot be verified is the client's to judge") {
  World world;
  world.origin_serves = &rogue();
  Peer& client = world.secure(*rogue().trusting);
  REQUIRE(client.shaken);  // the rogue's own certificate, on a second, raw connection
  CHECK(world.origins.size() == 2);
  client.say("hello");
  REQUIRE(world.until([&] { return world.origin().text == "hello"; }));
  close_in_order(world, client);
  REQUIRE(world.rows.misses.size() == 1);
  CHECK(world.rows.misses[0].reason == "origin_unverified");
}

TEST_CASE("a client that refuses our CA works on its second attempt") {
  const uint16_t version = GENERATE(uint16_t{TLS1_2_VERSION}, uint16_t{TLS1_3_VERSION});
  World world;
  const auto made = hm::tls::OriginSideContext::create(
      {theirs().dir.path() / "none", theirs().dir.path() / "ca" / "ca-cert.pem"});
  SSL_CTX_set_max_proto_version(static_cast<SSL_CTX*>((*made)->raw()), version);
  Peer& refusing = world.secure(**made);
  CHECK(refusing.failed);
  REQUIRE(world.until([&] { return world.idle(); }));  // its socket is still there to be found
  refusing.fd.close();
  REQUIRE(world.trust.refusals().size() == 1);
  CHECK(world.trust.refusals()[0].client_pid == ::getpid());
  CHECK_FALSE(world.trust.refusals()[0].client.empty());
  Peer& again = world.secure(**made);
  CHECK(again.shaken);
  again.say("call");
  REQUIRE(world.until([&] { return world.origin().text == "call"; }));
  close_in_order(world, again);
  REQUIRE(world.rows.misses.size() == 2);
  CHECK(world.rows.misses[1].reason == "client_refused_ca");
  CHECK(world.rows.misses[1].bytes_up > 0);
}

TEST_CASE("leaving without a word is a refusal, leaving in order is none") {
  World world;
  Peer& polite = world.metered();
  close_in_order(world, polite);
  CHECK(world.trust.refusals().empty());
  Peer& silent = world.metered();
  const bool reset = GENERATE(true, false);
  if (reset) {
    silent.fd.abort();
  } else {
    silent.fd.close();
  }
  REQUIRE(world.until([&] { return !world.trust.refusals().empty(); }));
  CHECK(world.trust.refusals()[0].reason == "hung_up_after_handshake");
}

TEST_CASE("an edge that dies takes its clients with it, and they have refused nothing") {
  World world;
  const auto folder =
      std::filesystem::temp_directory_path() / ("hm-relay-" + std::to_string(::getpid()));
  world.context->edge_socket = folder / "edge.sock";
  const std::string from_edge = "X-Halton-Client-Port: 40000\r\n";
  const bool alive = GENERATE(false, true);
  hm::net::ControlServer edge(world.loop, [](std::string_view) { return std::string(); });
  REQUIRE(edge.listen(world.context->edge_socket));
  Peer& client = world.tunnel(kHost, from_edge);
  world.start_tls(client, *ours().trusting);
  REQUIRE(world.until([&] { return client.shaken; }));
  if (!alive) edge.close();
  client.fd.abort();
  REQUIRE(world.until([&] { return world.idle(); }));
  CHECK(world.trust.refusals().empty() != alive);
  std::filesystem::remove_all(folder);
}

TEST_CASE("each direction may end before the other") {
  World world;
  Peer& client = world.metered();
  SECTION("the client's first") {
    client.say("half");
    client.half_close();
    REQUIRE(world.until([&] { return world.origin().end; }));
    CHECK_FALSE(world.origin().goodbye);  // a missing close_notify stays one
    world.origin().say("still talking");
    REQUIRE(world.until([&] { return client.text == "still talking"; }));
    world.origin().engine->send_close_notify();
    world.origin().half_close();
    REQUIRE(world.until([&] { return client.end; }));
    CHECK(client.goodbye);
  }
  SECTION("the origin's first") {
    client.say("x");
    world.origin().say("bye");
    world.origin().half_close();
    REQUIRE(world.until([&] { return client.end; }));
    CHECK(client.text == "bye");
    CHECK_FALSE(client.goodbye);
    client.say("more");
    REQUIRE(world.until([&] { return world.origin().text == "xmore"; }));
    client.half_close();
  }
  REQUIRE(world.until([&] { return world.idle(); }));
}

TEST_CASE("data and close_notify in one segment") {
  World world;
  Peer& client = world.metered();
  client.say("x");
  REQUIRE(world.until([&] { return world.origin().text == "x"; }));
  world.origin().sending = false;
  world.origin().say("last words");
  world.origin().engine->send_close_notify();
  world.origin().sending = true;
  world.origin().half_close();
  REQUIRE(world.until([&] { return client.end; }));
  CHECK(client.text == "last words");
  CHECK(client.goodbye);
}

TEST_CASE("a reset is passed on") {
  World world;
  Peer& client = world.metered();
  client.say(kQuestion);
  REQUIRE(world.until([&] { return world.origin().text == kQuestion; }));
  SECTION("of the client") {
    client.fd.abort();
    REQUIRE(world.until([&] { return world.origin().reset; }));
  }
  SECTION("of the origin") {
    world.origin().fd.abort();
    REQUIRE(world.until([&] { return client.reset; }));
  }
  SECTION("of the origin, learned by writing to it") {
    // Both wait when the loop turns, the client's bytes first.
    client.say("more of it");
    world.origin().fd.abort();
    REQUIRE(world.until([&] { return client.reset || client.end; }));
  }
  REQUIRE(world.until([&] { return world.idle(); }));
  REQUIRE(world.rows.calls.size() == 1);
  CHECK_FALSE(world.rows.calls[0].tokens_complete);
}

TEST_CASE("a failed write to the origin is learned also when nothing more is read from it") {
  World world;
  Peer& client = world.metered();
  client.say(kQuestion);
  REQUIRE(world.until([&] { return world.origin().text == kQuestion; }));
  // An upload that waits on a full socket, then a reset.
  world.origin().reading = false;
  client.say(pattern(12 * 1024 * 1024));
  world.settle(300);
  world.origin().fd.abort();
  REQUIRE(world.until([&] { return client.reset || client.end; }));
  REQUIRE(world.until([&] { return world.idle(); }));
}

TEST_CASE("an origin that answers early and closes is heard, though the client still uploads") {
  const bool metered = GENERATE(true, false);
  World world;
  if (!metered) world.origin_serves = &rogue();
  Peer& client = world.secure(metered ? *ours().trusting : *rogue().trusting);
  REQUIRE(client.shaken);
  client.say(kQuestion);
  REQUIRE(world.until([&] { return world.origin().text == kQuestion; }));
  const std::string refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n";
  // All in one turn of the loop: the client's bytes wait first, so that writing them fails before
  // the answer is read.
  client.say("and more");
  world.origin().say(refusal);
  world.origin().fd.abort();
  REQUIRE(world.until([&] { return client.reset || client.end; }));
  INFO("reset " << client.reset << " end " << client.end << " metered " << metered);
  CHECK(client.text == refusal);
}

TEST_CASE("a slow reader gets everything, and holds up whoever sends") {
  World world;
  Peer& client = world.metered(16 * 1024);
  client.say("go");
  REQUIRE(world.until([&] { return world.origin().text == "go"; }));
  const std::string body = pattern(8 * 1024 * 1024);
  client.reading = false;
  world.origin().say(body);
  world.settle(300);
  client.reading = true;
  REQUIRE(world.until([&] { return client.text.size() >= body.size(); }, 60'000));
  CHECK(client.text == body);
  // And the other way.
  world.origin().reading = false;
  client.say(body);
  world.settle(300);
  world.origin().reading = true;
  REQUIRE(world.until([&] { return world.origin().text.size() >= body.size() + 2; }, 60'000));
  CHECK(world.origin().text == "go" + body);
}

TEST_CASE("what follows the ask at once arrives whole, however much it is") {
  World world;
  world.origin_plain = true;
  const std::string early = "not TLS " + pattern(300 * 1024);
  Peer& client = world.connect();
  client.say("CONNECT " + kHost + ":443 HTTP/1.1\r\n\r\n" + early);
  REQUIRE(world.until(
      [&] { return !world.origins.empty() && world.origin().raw.size() >= early.size(); }));
  CHECK(world.origin().raw == early);
  client.half_close();
  world.origin().half_close();
  REQUIRE(world.until([&] { return world.idle(); }));
  REQUIRE(world.rows.misses.size() == 1);
  CHECK(world.rows.misses[0].reason == "not_tls");
  CHECK(world.rows.misses[0].bytes_up == static_cast<int64_t>(early.size()));
}

TEST_CASE("a host the edge asks for and we do not know goes raw and is counted") {
  World world;
  world.origin_plain = true;
  Peer& client = world.tunnel("other.example", "X-Halton-Client-Port: 9\r\n");
  client.say("hello");
  REQUIRE(world.until([&] { return world.origin().raw == "hello"; }));
  client.half_close();
  world.origin().half_close();
  REQUIRE(world.until([&] { return world.idle(); }));
  REQUIRE(world.rows.misses.size() == 1);
  CHECK(world.rows.misses[0].reason == "unknown_provider");
}

TEST_CASE("a planned stop ends what is idle and waits for what is not") {
  World world;
  Peer& client = world.metered();
  Peer& origin = world.origin();
  Peer& later = world.tunnel();  // opened, not used
  SECTION("idle") {
    world.acceptor->drain(0);
    REQUIRE(world.until([&] { return world.idle(); }));
    CHECK(client.goodbye);
    REQUIRE(world.until([&] { return later.end; }));
  }
  SECTION("idle, and ended by its client's half") {
    client.half_close();
    REQUIRE(world.until([&] { return origin.end; }));
    world.acceptor->drain(0);
    REQUIRE(world.until([&] { return world.idle(); }));
    REQUIRE(world.until([&] { return client.end || client.reset; }));
    CHECK(client.goodbye);
    CHECK(!client.reset);
  }
  SECTION("a call under way, metered or not") {
    const std::string question =
        GENERATE(as<std::string>(), kQuestion,
                 "GET /v1/files/f1/content HTTP/1.1\r\nHost: api.openai.com\r\n\r\n");
    client.say(question);
    REQUIRE(world.until([&] { return origin.text == question; }));
    const std::string whole = answer(kUsage);
    origin.say(whole.substr(0, 30));
    REQUIRE(world.until([&] { return client.text.size() == 30; }));
    world.acceptor->drain(0);
    world.settle(50);
    world.acceptor->drain(0);
    CHECK(world.acceptor->sessions() == 1);
    origin.say(whole.substr(30));
    REQUIRE(world.until([&] { return client.text == whole; }));
    world.acceptor->drain(0);
    REQUIRE(world.until([&] { return world.idle(); }));
  }
  SECTION("half a request") {
    client.say(kQuestion.substr(0, 12));
    REQUIRE(world.until([&] { return origin.text == kQuestion.substr(0, 12); }));
    world.acceptor->drain(0);
    world.settle(50);
    CHECK_FALSE(client.goodbye);
    client.say(kQuestion.substr(12));
    REQUIRE(world.until([&] { return origin.text == kQuestion; }));
    origin.say(answer(kUsage));
    REQUIRE(world.until([&] { return client.text == answer(kUsage); }));
    world.acceptor->drain(0);
    REQUIRE(world.until([&] { return world.idle(); }));
  }
  SECTION("an answer that its reader has not taken yet") {
    const std::string whole = answer(pattern(4 * 1024 * 1024));
    client.say(kQuestion);
    REQUIRE(world.until([&] { return origin.text == kQuestion; }));
    client.reading = false;
    origin.say(whole);
    for (int i = 0; i < 20; ++i) {
      world.settle(20);
      world.acceptor->drain(0);
    }
    client.reading = true;
    REQUIRE(world.until([&] {
      world.acceptor->drain(0);
      return client.text.size() >= whole.size() || client.end || client.reset;
    }));
    CHECK(client.text == whole);
  }
}

TEST_CASE("the end of the process writes what it knows") {
  World world;
  Peer& client = world.metered();
  client.say(kQuestion);
  REQUIRE(world.until([&] { return world.origin().text == kQuestion; }));
  world.origin_plain = true;
  Peer& raw = world.tunnel();
  raw.say("plain words");
  REQUIRE(world.until([&] { return world.origin().raw == "plain words"; }));
  world.acceptor.reset();
  REQUIRE(world.rows.calls.size() == 1);
  CHECK_FALSE(world.rows.calls[0].tokens_complete);
  REQUIRE(world.rows.misses.size() == 1);
  CHECK(world.rows.misses[0].reason == "not_tls");
}

TEST_CASE("rows could not be taken: calls and knocks are answered 503, what is under way goes on") {
  World world;
  Peer& open = world.metered();
  const auto status = [&](const std::string& host) {
    Peer& peer = world.connect();
    peer.say("CONNECT " + host + ":443 HTTP/1.1\r\n\r\n");
    REQUIRE(world.until([&] { return peer.end; }));
    return peer.raw;
  };
  const std::string knock(hm::wire::kKnockHost);
  CHECK(status(knock).find(" 200 ") != std::string::npos);
  world.rows.room = false;
  CHECK(status(knock).find(" 503 ") != std::string::npos);
  CHECK(status(kHost).starts_with("HTTP/1.1 503 "));
  CHECK(world.rows.misses.empty());  // the edge counts it
  open.say(kQuestion);
  REQUIRE(world.until([&] { return world.origin().text == kQuestion; }));
  world.rows.room = true;
  CHECK(status(knock).find(" 200 ") != std::string::npos);
}

TEST_CASE("a full table answers 503, a knock is answered") {
  hm::relay::RelayLimits limits;
  limits.max_sessions = 1;
  World world(limits);
  Peer& first = world.tunnel();
  Peer& second = world.connect();
  second.say("CONNECT " + kHost + ":443 HTTP/1.1\r\n\r\n");
  REQUIRE(world.until([&] { return second.end; }));
  CHECK(second.raw.starts_with("HTTP/1.1 503 "));
  CHECK(world.rows.misses.empty());  // the edge counts it
  first.fd.close();
  REQUIRE(world.until([&] { return world.idle(); }));
}
