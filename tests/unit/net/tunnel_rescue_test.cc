// First-flight rescue: a far side that is lost before its first byte is replaced unnoticed.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "common/base/counters.h"
#include "common/net/tunnel.h"
#include "tests/unit/net/net_support.h"
#include "tests/unit/net/tunnel_rig.h"

using namespace hm;
using namespace hm::net;
using namespace hm::net::test;

TEST_CASE("first flight: a far side that goes before its first byte is replaced", "[tunnel]") {
  Loop loop;
  Rig rig(loop);
  rig.tunnel->keep_first_flight(64 * 1024, GENERATE(200));
  Pair second = make_pair(loop);
  rig.start("hello ");
  rig.client.send_some("client");
  CHECK(rig.server_gets("hello client"));

  const std::string how = GENERATE("FIN", "RST", "silence");
  if (how == "FIN") rig.server.close();
  if (how == "RST") rig.server.abort();
  CHECK(rig.until([&] { return rig.watcher.lost == 1; }));
  CHECK(rig.watcher.lost_error.code == (how == "silence" ? Code::timeout : Code::closed));
  if (how == "silence") CHECK(aborted(rig.server));

  rig.client.send_some(", and more");  // meanwhile
  run_for(loop, 20);
  rig.tunnel->replace_far(std::move(second.inside));
  rig.server = std::move(second.outside);
  CHECK(rig.server_gets("hello client, and more"));
  rig.server.send_some("answer");
  CHECK(rig.client_gets("answer"));
  CHECK(rig.tunnel->bytes_up() == 22);
  CHECK(rig.tunnel->bytes_down() == 6);

  run_for(loop, 300);  // no silence is measured any more
  CHECK(rig.watcher.lost == 1);
  shutdown(rig.client.get(), SHUT_WR);
  shutdown(rig.server.get(), SHUT_WR);
  REQUIRE(rig.ended());
  CHECK(rig.watcher.end->clean);
  CHECK(rig.watcher.end->bytes_up == 22);
}

TEST_CASE("first flight: what cannot be rescued ends", "[tunnel]") {
  Loop loop;
  Rig rig(loop);
  rig.tunnel->keep_first_flight(8, 60'000);
  SECTION("too large a flight") {
    Counter& counter = counters::get("net.first_flight_too_large");
    const int64_t before = counter.value();
    rig.start("12345678");
    rig.client.send_some("9");
    CHECK(rig.server_gets("123456789"));
    CHECK(counter.value() == before + 1);
    rig.server.abort();
    REQUIRE(rig.ended());
    CHECK(rig.watcher.lost == 0);
    CHECK(aborted(rig.client));
  }
  SECTION("a flight that must not be sent twice") {
    rig.tunnel->keep_first_flight(64, 200, [](std::string_view flight) { return flight != "ask"; });
    rig.start("as");
    rig.client.send_some("k");
    CHECK(rig.server_gets("ask"));
    run_for(loop, 300);
    CHECK(rig.watcher.lost == 0);
    rig.server.abort();
    REQUIRE(rig.ended());
    CHECK(rig.watcher.lost == 0);
    CHECK(rig.watcher.end->far_broke);
    CHECK(aborted(rig.client));
  }
  SECTION("the far side has answered") {
    rig.start("hi");
    rig.server.send_some("ho");
    CHECK(rig.client_gets("ho"));
    rig.server.abort();
    REQUIRE(rig.ended());
    CHECK(rig.watcher.lost == 0);
    CHECK(rig.watcher.end->far_broke);
  }
  SECTION("bytes from far were there at the start") {
    rig.start("hi", "220 ready");
    CHECK(rig.client_gets("220 ready"));
    rig.server.abort();
    REQUIRE(rig.ended());
    CHECK(rig.watcher.lost == 0);
  }
  SECTION("the near side has ended") {
    rig.start("hi");
    shutdown(rig.client.get(), SHUT_WR);
    bool end = false;
    CHECK(rig.until([&] {
      rig.server.take(&end);
      return end;
    }));
    rig.server.close();
    REQUIRE(rig.ended());
    CHECK(rig.watcher.lost == 0);
    CHECK(rig.watcher.end->clean);
  }
  SECTION("the near side goes away while nobody is there for it") {
    rig.start("hi");
    rig.server.close();
    CHECK(rig.until([&] { return rig.watcher.lost == 1; }));
    rig.client.abort();
    run_for(loop, 10);
    Pair second = make_pair(loop);
    rig.tunnel->replace_far(std::move(second.inside));
    REQUIRE(rig.ended());
    CHECK_FALSE(rig.watcher.end->clean);
  }
  SECTION("the owner gives up") {
    rig.start("hi");
    rig.watcher.on_lost_hook = [&] { rig.tunnel->end(); };
    rig.server.close();
    REQUIRE(rig.ended());
    CHECK(rig.watcher.ends == 1);
    CHECK_FALSE(rig.watcher.end->far_answered);
  }
  SECTION("the second one dies as well") {
    rig.start("hi");
    rig.server.close();
    CHECK(rig.until([&] { return rig.watcher.lost == 1; }));
    Pair second = make_pair(loop);
    second.outside.abort();
    run_for(loop, 5);
    rig.tunnel->replace_far(std::move(second.inside));
    CHECK(rig.watcher.ends == 0);  // never from inside the call
    REQUIRE(rig.ended());
    CHECK(rig.watcher.lost == 1);
    CHECK(aborted(rig.client));
  }
}

TEST_CASE("first flight: a far side that is dead at the start, or dies before any byte",
          "[tunnel]") {
  Loop loop;
  Rig rig(loop);
  rig.tunnel->keep_first_flight(1024, 60'000);
  const bool before_start = GENERATE(true, false);
  const std::string up = GENERATE("", "hello");
  if (before_start) {
    rig.server.abort();
    run_for(loop, 5);
    rig.start(up);
    CHECK(rig.watcher.lost == 0);  // never from inside the call
  } else {
    rig.start(up);
    run_for(loop, 5);
    rig.server.abort();
  }
  CHECK(rig.until([&] { return rig.watcher.lost == 1; }));
  Pair second = make_pair(loop);
  rig.tunnel->replace_far(std::move(second.inside));
  rig.server = std::move(second.outside);
  rig.client.send_some("!");
  CHECK(rig.server_gets(up + "!"));
}
