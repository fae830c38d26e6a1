#include "common/net/connect_race.h"

#include <catch2/catch.hpp>

#include "tests/unit/net/dial_support.h"

using namespace hm;
using namespace hm::net;
using namespace hm::net::test;

TEST_CASE("addresses take turns, IPv6 first", "[dialer]") {
  AddressTurns turns;
  CHECK(turns.empty());
  CHECK_FALSE(turns.next());
  turns.add({local(1), local(2), local(3), local(4, "::1"), local(5, "::2")});
  std::string ports;
  const auto take = [&](int count) {
    for (int i = 0; i < count; ++i)
      if (const auto address = turns.next()) ports += std::to_string(address->port());
  };
  take(9);
  CHECK(ports == "41523");
  SECTION("late ones take their turn, those that came before are not tried again") {
    ports.clear();
    turns.add({local(1), local(6), local(7)});
    take(1);
    turns.add({local(8, "::3"), local(5, "::2")});
    take(9);
    CHECK(ports == "687");
  }
  SECTION("the first of the other family comes next, however late") {
    AddressTurns four;
    four.add({local(1), local(2)});
    turns = four;
    ports.clear();
    take(1);
    turns.add({local(3, "::1")});
    take(9);
    CHECK(ports == "132");
  }
}

TEST_CASE("happy eyeballs: refused means next at once, silence means next after 250 ms",
          "[dialer]") {
  Loop loop;
  auto [server, port] = listening();
  std::optional<Result<TcpSocket>> result;
  const auto keep = [&](Result<TcpSocket> r) { result = std::move(r); };
  const int64_t started = loop.now_us();
  SECTION("refused, refused, there") {
    const ConnectRace race(loop, {local(dead_port()), local(dead_port()), local(port)}, false,
                           keep);
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    REQUIRE(result->has_value());
    CHECK((*result)->peer().port == port);
    CHECK(loop.now_us() - started < 240'000);
  }
  SECTION("silent, there") {
    const BlackHole hole;
    const ConnectRace race(loop, {local(hole.port), local(port)}, false, keep);
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    REQUIRE(result->has_value());
    CHECK((*result)->peer().port == port);
    CHECK(loop.now_us() - started >= 240'000);
  }
  SECTION("all refused") {
    const ConnectRace race(loop, {local(dead_port()), local(dead_port())}, false, keep);
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    REQUIRE_FALSE(result->has_value());
    CHECK(result->error().code == Code::refused);
  }
  SECTION("none at all") {
    const ConnectRace race(loop, {}, false, keep);
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    CHECK(result->error().code == Code::not_found);
  }
  SECTION("all refused, and then a late one") {
    ConnectRace race(loop, {local(dead_port())}, true, keep);
    run_for(loop, 30);
    CHECK_FALSE(result.has_value());
    race.add({local(port)});
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    CHECK(result->has_value());
  }
  SECTION("all refused, and nothing more comes") {
    ConnectRace race(loop, {local(dead_port())}, true, keep);
    run_for(loop, 30);
    CHECK_FALSE(result.has_value());
    race.no_more();
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    CHECK(result->error().code == Code::refused);
  }
  SECTION("broken IPv6: no route is a refusal, and the next is tried at once") {
    // 2001:db8::/32 is nobody's (RFC 3849). Where it has a route all the same, 250 ms are waited.
    const ConnectRace race(loop, {local(443, "2001:db8::1"), local(port)}, false, keep);
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    REQUIRE(result->has_value());
    CHECK((*result)->peer().port == port);
  }
  SECTION("abandoned") {
    const BlackHole hole;
    {
      const ConnectRace race(loop, {local(hole.port), local(port)}, false, keep);
    }
    run_for(loop, 20);
    CHECK_FALSE(result.has_value());
  }
  SECTION("it can be written to at once") {
    const ConnectRace race(loop, {local(port)}, false, keep);
    REQUIRE(run_until(loop, [&] { return result.has_value(); }));
    REQUIRE(result->has_value());
    Recorder recorder;
    TcpStream stream(loop, recorder);
    stream.adopt(std::move(**result));
    CHECK(stream.open());
  }
}
