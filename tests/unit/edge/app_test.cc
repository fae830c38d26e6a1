// What the edge refuses, bounds and tells; how it starts and stops.
#include <sys/stat.h>

#include "tests/unit/edge/edge_world.h"

namespace hm::edge::test {

TEST_CASE("heads that are refused") {
  World world("head_timeout_ms = 150");
  world.start();
  const int64_t refused = counter("edge.refused_heads");
  const std::vector<std::pair<std::string, int>> cases{
      {"GARBAGE\r\n\r\n", 400},
      {"CONNECT a:0 HTTP/1.1\r\n\r\n", 400},
      {"\x16\x03\x01 hello", 400},
      {"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404},
      {"CONNECT a:443 HTTP/1.1\r\nX: " + std::string(9000, 'x'), 431},
      {"CONNECT a:443 HT", 408},
      {"CONNECT dead.example.org:443 HTTP/1.1\r\n\r\n", 502},
      {"GET http://dead.example.org:443/ HTTP/1.1\r\n\r\n", 502}};
  for (const auto& [text, status] : cases) {
    INFO(text.substr(0, 60));
    const std::string said = world.ask_raw(text);
    CHECK(said.starts_with("HTTP/1.1 " + std::to_string(status) + " "));
    CHECK(said.ends_with(".\n"));
  }
  CHECK(counter("edge.refused_heads") == refused + 6);
  std::string answer;
  world.tunnel("www.example.org", "fine", &answer);
  CHECK(answer == "O:fine");
}

TEST_CASE("a client that only knocks or goes away leaves nothing behind") {
  World world;
  world.start();
  world.client();
  {
    const Fd half = world.client();
    half.send_some("CONNECT www.exam");
    world.turn(20);
  }
  Fd abrupt = world.client();
  abrupt.send_some("CONNECT www.example.org:443 HTTP/1.1\r\n\r\n");
  abrupt.abort();
  CHECK(world.wait_open_calls(0));
}

TEST_CASE("our own ports cannot be reached through us, however they are spelled") {
  World world;
  world.start_both();
  for (const uint16_t port : {world.edge_port, world.interceptor->port}) {
    for (const char* host : {"127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.1", "0",
                             "2130706433", "0x7f000001", "[::ffff:127.0.0.1]", "0.0.0.0"}) {
      INFO(host << " " << port);
      const std::string authority = std::string(host) + ":" + std::to_string(port);
      CHECK(
          world.ask_raw("CONNECT " + authority + " HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 403 "));
      CHECK(world.ask_raw("GET http://" + authority + "/ HTTP/1.1\r\n\r\n")
                .starts_with("HTTP/1.1 403 "));
    }
  }
  CHECK(world.interceptor->asks.empty());
  // The API's port is known from the ports file, whoever wrote it last.
  CHECK(world.ask_raw("CONNECT 127.0.0.1:1 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 403 "));
  // Other servers of this machine are nobody's business.
  const Fd client = world.client();
  client.send_some("CONNECT 127.0.0.1:" + std::to_string(world.origin->port) +
                   " HTTP/1.1\r\n\r\nhi");
  const std::string want = std::string(World::kConnected) + "O:hi";
  CHECK(world.read(client, want.size()) == want);
}

TEST_CASE("another user of this machine is turned away") {
  if (::geteuid() != 0) return;  // only root can become another user
  World world;
  world.start();
  const int64_t before = counter("edge.refused_other_user");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::setuid(65'534) != 0) ::_exit(2);
    const Fd fd = net::test::connect_to(world.edge_port);
    fd.send_some("CONNECT www.example.org:443 HTTP/1.1\r\n\r\n");
    char byte = 0;
    ::_exit(::recv(fd.get(), &byte, 1, 0) <= 0 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(world.until([&] { return ::waitpid(child, &status, WNOHANG) == child; }));
  CHECK(status == 0);
  CHECK(counter("edge.refused_other_user") == before + 1);
}

TEST_CASE("beyond max_connections clients wait, and are served") {
  World world("max_connections = 16");
  world.start();
  const int64_t paused = counter("edge.accept_paused");
  std::vector<Fd> clients;
  std::string answer;
  for (int i = 0; i < 16; ++i) clients.push_back(world.tunnel("www.example.org", "x", &answer));
  CHECK(counter("edge.accept_paused") == paused + 1);
  const Fd late = world.client();
  late.send_some("CONNECT www.example.org:443 HTTP/1.1\r\n\r\n");
  world.turn(50);
  CHECK(late.take().empty());
  CHECK(world.control("status").number("open_calls") == 16);
  clients.pop_back();
  CHECK(world.read(late, World::kConnected.size()) == World::kConnected);
  clients.clear();
  world.tunnel("www.example.org", "fine", &answer);
  CHECK(answer == "O:fine");
}

TEST_CASE("a taken port: the next free one, and the file says which") {
  auto [holder, port] = net::test::listening();
  World world;
  world.flags.edge_port = port;
  world.restart_app();
  world.start();
  CHECK(world.edge_port != port);
  CHECK(world.edge_port <= port + 20);
  CHECK(config::read_ports(world.ports_file())->edge_port == world.edge_port);
  CHECK(world.control("status").number("edge_port") == world.edge_port);
}

TEST_CASE("the control socket") {
  World world;
  world.start_both();
  CHECK(world.control("ping").number("protocol") == 1);
  const auto status = world.control("status");
  for (const char* key :
       {"pid", "uptime_us", "edge_port", "internal_port", "gate_since_us", "open_calls",
        "ledger.entries", "ledger.calls", "rss_bytes", "edge.accepted"}) {
    INFO(key);
    CHECK(status.number(key).has_value());
  }
  CHECK(status.number("pid") == ::getpid());
  CHECK(status.find("version") == "test");
  CHECK(status.find("gate") == "open");
  CHECK(world.control("doctor").find("gate") == "open");
  CHECK(world.control("counters").number("edge.accepted").has_value());
  CHECK(world.control("log-level", {"debug"}).number("ok") == 1);
  CHECK(world.control("log-level", {"info"}).number("ok") == 1);
  for (const char* line : {"hm/1 log-level loud", "hm/1 sing", "hm/9 status", "", "nonsense"}) {
    INFO(line);
    CHECK(world.control_line(line).find("error").has_value());
  }
  struct stat info{};
  REQUIRE(::stat((world.folder / "run" / "edge.sock").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("the ledger is handed over by acknowledgement") {
  World world;
  world.start();
  std::string answer;
  for (int i = 0; i < 3; ++i) world.tunnel(World::kHost, "x", &answer);
  const auto misses = world.wait_ledger(3);
  REQUIRE(misses.size() == 3);
  CHECK(world.control("status").number("ledger.calls") == 3);
  CHECK(world.control("ledger").number("pid") == ::getpid());
  const std::string us = std::to_string(::getpid());
  world.control("ledger-ack", {std::to_string(misses[0].sequence), us});
  CHECK(world.ledger().size() == 2);
  world.control("ledger-ack", {"upto=" + std::to_string(misses[1].sequence), us});
  CHECK(world.ledger().size() == 1);
  world.control("ledger-ack", {"nonsense", us});
  world.control("ledger-ack");
  // What another edge offered: its sequences are not ours.
  world.control("ledger-ack", {std::to_string(misses[2].sequence), "1"});
  world.control("ledger-ack", {std::to_string(misses[2].sequence)});
  CHECK(world.ledger().size() == 1);
}

TEST_CASE("drain: no new call, the open one ends in peace, and the ledger outlives the process") {
  World world;
  std::string answer;
  {
    // run() in the test's own thread: what happens is put on the loop beforehand.
    world.start();
    world.tunnel(World::kHost, "past", &answer);
    REQUIRE(world.wait_ledger(1).size() == 1);
    Fd open = world.tunnel(World::kHost, "open", &answer);
    world.app->drain(-1);
    CHECK_FALSE(net::test::connect_to(world.edge_port).open());
    open.send_some("more");
    CHECK(world.read(open, 6) == "O:more");
    CHECK(world.control("status").number("draining") == 1);
    open.close();
    bool late = false;
    net::Timer limit(world.app->loop(), [&] {
      late = true;
      world.app->loop().stop();
    });
    limit.start_once(20'000);
    world.app->loop().run();  // ends by itself
    CHECK_FALSE(late);
    world.app->finish();
  }
  world.restart_app();
  world.start();
  const auto misses = world.ledger();
  REQUIRE(misses.size() == 2);
  CHECK(misses[0].reason == "gate_closed");
  CHECK(misses[1].host == World::kHost);
}

TEST_CASE("calls that are cut off by the end of the edge are in the ledger too") {
  World world;
  world.start();
  std::string answer;
  const Fd raw = world.tunnel(World::kHost, "hello", &answer);
  const Fd other = world.tunnel("www.example.org", "hello", &answer);
  world.app->drain(0);
  world.app->loop().run();
  world.app->finish();
  world.restart_app();
  world.start();
  const auto misses = world.ledger();
  REQUIRE(misses.size() == 1);
  CHECK(misses[0].bytes_up == 5);
}

TEST_CASE("an edge that dies leaves its calls to the next one, the open ones too") {
  World world;
  world.start();
  std::string answer;
  world.tunnel(World::kHost, "over", &answer);
  REQUIRE(world.wait_ledger(1).size() == 1);
  const auto before = world.ledger();  // offered, not acknowledged
  {
    const Fd open = world.tunnel(World::kHost, "open", &answer);
    CHECK(world.control("status").number("ledger.open") == 1);
    CHECK(world.control("status").number("ledger.survives") == 1);
    world.restart_app();  // without a word, as after kill -9
  }
  world.start();
  const auto misses = world.ledger();
  REQUIRE(misses.size() == 2);
  CHECK(misses[0].reason == "gate_closed");
  CHECK(misses[0].origin == before[0].origin);  // the same name: it is not counted twice
  CHECK(misses[0].number == before[0].number);
  CHECK(misses[1].reason == "edge_lost");
  CHECK(misses[1].detail == "gate_closed");
  CHECK(misses[1].host == World::kHost);
  world.control("ledger-ack", {std::to_string(misses[1].sequence), std::to_string(::getpid())});
  world.app->finish();
  world.restart_app();
  for (const auto& entry : std::filesystem::directory_iterator(world.folder / "home"))
    CHECK(entry.path().filename().string().find("ledger") == std::string::npos);
}

TEST_CASE("the lifeline: the edge ends with whom it runs for, after the last tunnel") {
  World world;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  world.flags.lifeline = ends[0];
  world.restart_app();
  world.start();
  std::string answer;
  Fd open = world.tunnel("www.example.org", "x", &answer);
  ::close(ends[1]);
  for (int i = 0; i < 500 && world.control("status").number("draining") != 1; ++i) world.turn(5);
  open.send_some("y");
  CHECK(world.read(open, 3) == "O:y");
  open.close();
  bool late = false;
  net::Timer limit(world.app->loop(), [&] {
    late = true;
    world.app->loop().stop();
  });
  limit.start_once(20'000);
  world.app->loop().run();
  CHECK_FALSE(late);
}

}  // namespace hm::edge::test
