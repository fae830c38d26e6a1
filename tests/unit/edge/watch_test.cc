// What became of the interceptor that had a call? Its process tells, not its port.
#include <csignal>

#include "tests/unit/edge/edge_world.h"

namespace hm::edge::test {
namespace {

// A process that does nothing until it is ended.
struct Somebody {
  Somebody() : pid(::fork()) {
    if (pid == 0) {
      while (true) ::pause();
    }
    REQUIRE(pid > 0);
  }
  ~Somebody() { end(); }
  void end() {
    if (pid <= 0) return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    pid = -1;
  }
  pid_t pid;
};

}  // namespace

TEST_CASE("the watch: alive, lost, or ended in order") {
  net::Loop loop;
  std::vector<int64_t> ends;
  net::ProcessWatch watch(loop, [&](int64_t process) { ends.push_back(process); });
  using Fate = net::ProcessWatch::Fate;
  Somebody one;
  Somebody two;
  const int64_t first = one.pid;
  const int64_t second = two.pid;
  watch.met(0);
  CHECK(watch.fate(0) == Fate::unknown);
  CHECK(watch.fate(first) == Fate::unknown);
  watch.met(first);
  watch.met(first);
  watch.met(second);
  CHECK(watch.fate(first) == Fate::alive);
  watch.ending(second);
  watch.ending(4711);
  CHECK(watch.fate(second) == Fate::alive);
  one.end();
  two.end();
  REQUIRE(run_until(loop, [&] { return ends.size() == 2; }));
  CHECK(watch.fate(first) == Fate::lost);
  CHECK(watch.fate(second) == Fate::ended);
  watch.met(second);  // nobody has this number now
  CHECK(watch.fate(second) == Fate::ended);
}

TEST_CASE("the watch forgets the dead, not the living") {
  net::Loop loop;
  net::ProcessWatch watch(loop, [](int64_t) {});
  Somebody living;
  watch.met(living.pid);
  for (int i = 0; i < 40; ++i) {
    Somebody dead;
    const int64_t pid = dead.pid;
    watch.met(pid);
    dead.end();
    REQUIRE(run_until(loop, [&] { return watch.fate(pid) == net::ProcessWatch::Fate::lost; }));
  }
  CHECK(watch.fate(living.pid) == net::ProcessWatch::Fate::alive);
}

TEST_CASE("a metered call breaks while the port stays open") {
  Somebody somebody;
  World world;
  world.start_interceptor();
  world.interceptor->process = somebody.pid;
  world.start();
  REQUIRE(world.wait_gate("open"));
  std::string answer;
  Fd client = world.tunnel(World::kHost, "hello", &answer);
  REQUIRE(answer == "M:hello");
  const auto break_it = [&] {
    for (auto& connection : world.interceptor->connections)
      if (connection->tunnel) connection->stream.reset();
    CHECK(world.read_all(client).empty());
    client.close();
  };
  SECTION("its process is gone: a miss, and the gate closes before a call has to find out") {
    world.interceptor->knock_status = 0;  // as a port that is kept open for a successor
    somebody.end();
    REQUIRE(world.wait_gate("closed"));
    break_it();
    const auto misses = world.wait_ledger(1);
    REQUIRE(misses.size() == 1);
    CHECK(misses[0].reason == "interceptor_lost");
    REQUIRE(world.wait_open_calls(0));
    CHECK(world.ledger().size() == 1);
  }
  SECTION("the sockets end first, the process a moment later") {
    break_it();
    somebody.end();
    REQUIRE(world.wait_ledger(1).size() == 1);
  }
  SECTION("it lives: no miss") {
    break_it();
    REQUIRE(world.wait_open_calls(0));
    CHECK(world.ledger().empty());
    CHECK(world.control("status").find("gate") == "open");
  }
  SECTION("it said that it ends in order: no miss, and the gate is its successor's") {
    CHECK(world.control("ending", {std::to_string(somebody.pid)}).number("ok") == 1);
    somebody.end();
    world.turn(50);
    break_it();
    REQUIRE(world.wait_open_calls(0));
    CHECK(world.ledger().empty());
    CHECK(world.control("status").find("gate") == "open");
  }
  SECTION("another process says that it leaves: nothing changes") {
    CHECK(world.control("leaving", {"1"}).number("ok") == 1);
    CHECK(world.control("status").find("gate") == "open");
    CHECK(world.control("leaving", {std::to_string(somebody.pid)}).number("ok") == 1);
    CHECK(world.control("status").find("gate") == "closed");
  }
}

TEST_CASE("relieve: only an edge that leaves, and then at once") {
  World world;
  world.start();
  CHECK(world.control("relieve").find("error").has_value());
  CHECK(net::test::connect_to(world.edge_port).open());
}

}  // namespace hm::edge::test
