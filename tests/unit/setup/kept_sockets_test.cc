// What is kept over restarts, under which name, and what becomes of a changed port.
#include "common/setup/kept_sockets.h"

#include "tests/unit/setup/manager.h"

namespace hm::setup::test {

TEST_CASE("a fresh socket goes into the store; a claimed one is there already") {
  Manager manager;
  auto [listening, port] = net::test::listening();
  KeptSockets kept({});
  CHECK(kept.claim("edge", 8081) == -1);
  CHECK_FALSE(kept.any_claimed());
  kept.keep("edge", 8081, -1, listening.get());
  Word word = manager.hear();
  CHECK(word.text == "FDSTORE=1\nFDNAME=edge-8081");
  REQUIRE(word.descriptor.open());
  listening.close();
  CHECK(net::test::connect_to(port).open());  // alive in the store
  const int stored = word.descriptor.release();

  KeptSockets next({{"edge-8081", stored}});
  const int claimed = next.claim("edge", 8081);
  CHECK(claimed == stored);
  CHECK(next.any_claimed());
  next.keep("edge", 8081, claimed, claimed);
  CHECK(manager.hear().text.empty());
  ::close(claimed);
}

TEST_CASE("another port is wanted: the old socket is closed and leaves the store") {
  Manager manager;
  auto [listening, port] = net::test::listening();
  auto [api, api_port] = net::test::listening();
  {
    KeptSockets kept({{"edge-8081", listening.release()}, {"api-1", api.release()}});
    CHECK(kept.claim("edge", 9000) == -1);
    CHECK(manager.hear().text == "FDSTOREREMOVE=1\nFDNAME=edge-8081");
    CHECK_FALSE(net::test::connect_to(port).open());
    CHECK(net::test::connect_to(api_port).open());  // of another purpose
  }
  CHECK_FALSE(net::test::connect_to(api_port).open());  // and nobody claimed it
  CHECK(manager.hear().text.empty());
}

TEST_CASE("the port that a kept socket has is wanted by now: it is kept under that name") {
  Manager manager;
  auto [listening, port] = net::test::listening();
  const int stored = listening.release();
  KeptSockets kept({{"edge-8081", stored}});
  CHECK(kept.claim("edge", port) == stored);
  CHECK(manager.hear().text == "FDSTOREREMOVE=1\nFDNAME=edge-8081");
  CHECK(manager.hear().text == "FDSTORE=1\nFDNAME=" + KeptSockets::name_of("edge", port));
  kept.keep("edge", port, stored, stored);
  CHECK(manager.hear().text.empty());
  ::close(stored);
}

TEST_CASE("what a predecessor's departure left in the store is cleared away") {
  Manager manager;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Fd reading(ends[0]);
  KeptSockets kept({{"watch-17", ends[1]}});
  CHECK(kept.claim("edge", 0) == -1);
  kept.close_rest();
  CHECK(manager.hear().text == "FDSTOREREMOVE=1\nFDNAME=watch-17");
  bool end = false;
  char byte = 0;
  end = ::read(reading.get(), &byte, 1) == 0;
  CHECK(end);
}

TEST_CASE("a kept descriptor that was of no use is replaced in the store") {
  Manager manager;
  auto [listening, port] = net::test::listening();
  KeptSockets kept({{"edge-0", 77}});
  CHECK(kept.claim("edge", 0) == 77);
  kept.keep("edge", 0, 77, listening.get());
  CHECK(manager.hear().text == "FDSTOREREMOVE=1\nFDNAME=edge-0");
  CHECK(manager.hear().text == "FDSTORE=1\nFDNAME=edge-0");
}

TEST_CASE("two of the same name: one is claimed, the other closed, and the name stays") {
  Manager manager;
  auto [one, port_one] = net::test::listening();
  auto [two, port_two] = net::test::listening();
  const int first = one.release();
  KeptSockets kept({{"edge-0", first}, {"edge-0", two.release()}});
  CHECK(kept.claim("edge", 0) == first);
  CHECK(manager.hear().text.empty());
  CHECK_FALSE(net::test::connect_to(port_two).open());
  ::close(first);
}

TEST_CASE("no supervisor, nothing to keep; a mute process says nothing") {
  auto [listening, port] = net::test::listening();
  KeptSockets kept({});
  kept.keep("edge", 0, -1, listening.get());
  CHECK_FALSE(notify::available());
  Manager manager;
  CHECK(notify::available());
  notify::mute();
  CHECK_FALSE(notify::send("READY=1"));
  CHECK_FALSE(notify::available());
  CHECK(manager.hear().text.empty());
  notify::mute(false);
  CHECK(notify::send("READY=1", 100));
  CHECK(manager.hear().text == "READY=1");
}

}  // namespace hm::setup::test
