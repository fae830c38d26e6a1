// Calls through a real edge: metered, round the interceptor, and rescued.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/unit/edge/edge_world.h"

namespace hm::edge::test {

using Mode = FakeInterceptor::Mode;

namespace {

// A record of a TLS handshake (type, version, length): the only thing that may be sent twice.
const std::string kFlight{"\x16\x03\x01\x00\x05hello", 10};

}  // namespace

TEST_CASE("a metered call: asked with all facts, early bytes and first words kept") {
  World world;
  world.start_both();
  world.interceptor->first_words = "<first>";
  const int64_t metered = counter("edge.metered");
  const Fd client = world.client();
  client.send_some("CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com\r\n\r\nhello");
  const std::string want = std::string(World::kConnected) + "<first>M:hello";
  CHECK(world.read(client, want.size()) == want);

  REQUIRE(world.interceptor->asks.size() == 1);
  const std::string& ask = world.interceptor->asks[0];
  CHECK(ask.starts_with("CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n"));
  CHECK(ask.find("X-Halton-Edge-Port: " + std::to_string(world.edge_port) + "\r\n") !=
        std::string::npos);
  sockaddr_in own{};
  socklen_t length = sizeof own;
  getsockname(client.get(), reinterpret_cast<sockaddr*>(&own), &length);
  CHECK(ask.find("X-Halton-Client-Port: " + std::to_string(ntohs(own.sin_port)) + "\r\n") !=
        std::string::npos);
  const size_t id = ask.find("X-Halton-Call: ");
  REQUIRE(id != std::string::npos);
  CHECK(ask.find_first_not_of("0123456789abcdef", id + 15) == id + 15 + 32);

  client.send_some("more");
  CHECK(world.read(client, 6) == "M:more");
  CHECK(counter("edge.metered") == metered + 1);
  CHECK(world.ledger().empty());
  CHECK(world.origin->connections.empty());
  CHECK(world.control("status").number("open_calls") == 1);
}

TEST_CASE("the client hears nothing before the way is known") {
  World world;
  world.start_both();
  world.interceptor->mode = Mode::silent;
  const Fd client = world.client();
  client.send_some("CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n");
  REQUIRE(world.until([&] { return world.interceptor->asks.size() == 1; }));
  CHECK(client.take().empty());
  CHECK(world.read(client, World::kConnected.size()) == World::kConnected);
  CHECK(world.wait_gate("closed"));
}

TEST_CASE("other hosts never meet the interceptor") {
  World world;
  world.start_both();
  std::string answer;
  const Fd client = world.tunnel("www.example.org", "hello", &answer);
  CHECK(answer == "O:hello");
  CHECK(world.interceptor->asks.empty());
  CHECK(world.ledger().empty());
}

TEST_CASE("every doubt ends at the origin, and in the ledger") {
  struct Case {
    Mode mode;
    const char* reason;
    bool stays_open;
  };
  const auto [mode, reason, stays_open] = GENERATE(
      Case{Mode::close_at_once, "ask_refused", false}, Case{Mode::silent, "ask_timeout", false},
      Case{Mode::full, "ask_full", true}, Case{Mode::odd_answer, "ask_refused", true},
      Case{Mode::stranger, "ask_refused", false},
      Case{Mode::interim_and_gone, "interceptor_lost", false});
  World world;
  world.start_both();
  world.interceptor->mode = mode;
  world.interceptor->knock_status = stays_open ? 200 : 503;  // does not open it again
  std::string answer;
  {
    const Fd client = world.tunnel(World::kHost, "hello", &answer);
    CHECK(answer == "O:hello");
    CHECK(world.interceptor->asks.size() == 1);
    CHECK(world.ledger().empty());  // written when the call ends
  }
  const auto misses = world.wait_ledger(1);
  REQUIRE(misses.size() == 1);
  CHECK(misses[0].reason == reason);
  CHECK(misses[0].host == World::kHost);
  CHECK(misses[0].bytes_up == 5);
  CHECK(misses[0].bytes_down == 7);
  CHECK(misses[0].duration_us > 0);
  CHECK(misses[0].client_port > 0);
  CHECK(misses[0].call_id.size() == 32);
  CHECK(world.control("status").find("gate") == (stays_open ? "open" : "closed"));
}

TEST_CASE("nobody listens any more: the ask is refused, the next call is not asked") {
  World world("knock_open_ms = 60000");
  world.start_both();
  world.interceptor->die();
  std::string answer;
  world.tunnel(World::kHost, "one", &answer);
  CHECK(answer == "O:one");
  CHECK(world.wait_gate("closed"));
  world.tunnel(World::kHost, "two", &answer);
  CHECK(answer == "O:two");
  const auto misses = world.wait_ledger(2);
  REQUIRE(misses.size() == 2);
  CHECK(misses[0].reason == "ask_refused");
  CHECK(misses[1].reason == "gate_closed");
}

TEST_CASE("the interceptor cannot reach the origin: the edge tries itself") {
  World world;
  world.start_both();
  world.interceptor->mode = Mode::dead_origin;
  SECTION("and reaches it: the call succeeds, unmetered") {
    std::string answer;
    world.tunnel(World::kHost, "hello", &answer);
    CHECK(answer == "O:hello");
  }
  SECTION("and cannot either: a 502") {
    world.origin->stop_listening();
    const std::string said = world.ask_raw("CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n");
    CHECK(said.starts_with("HTTP/1.1 502 "));
  }
  const auto misses = world.wait_ledger(1);
  REQUIRE(misses.size() == 1);
  CHECK(misses[0].reason == "origin_unreachable");
  CHECK(world.control("status").find("gate") == "open");
}

TEST_CASE("the interceptor dies before its first byte: the same bytes go to the origin") {
  World world;
  world.start_both();
  world.interceptor->mode = Mode::die_after_200;
  const int64_t rescued = counter("edge.rescued");
  Fd client = world.client();
  client.send_some("CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n" + kFlight.substr(0, 8));
  CHECK(world.read(client, World::kConnected.size()).starts_with(World::kConnected));
  client.send_some(kFlight.substr(8));
  CHECK(world.until([&] {
    return !world.origin->connections.empty() &&
           world.origin->connections.front()->received == kFlight;
  }));
  CHECK(world.read(client, 2).starts_with("O:"));
  CHECK(counter("edge.rescued") == rescued + 1);
  CHECK(world.wait_gate("closed"));
  client.close();
  const auto misses = world.wait_ledger(1);
  REQUIRE(misses.size() == 1);
  CHECK(misses[0].reason == "interceptor_lost");
  CHECK(misses[0].bytes_up == 10);
}

TEST_CASE(
    "the interceptor dies under bytes that must not be sent twice: the call is lost, and told") {
  World world;
  world.start_both();
  world.interceptor->mode = Mode::die_after_200;
  const std::string sent = GENERATE(as<std::string>{}, "POST /v1 HTTP/1.1\r\n\r\n",
                                    kFlight + std::string("\x17\x03\x03\x00\x01x", 6));
  Fd client = world.client();
  client.send_some("CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n" + sent);
  CHECK(world.read_all(client) == World::kConnected);
  client.close();
  const auto misses = world.wait_ledger(1);
  REQUIRE(misses.size() == 1);
  CHECK(misses[0].reason == "interceptor_lost");
  CHECK(world.origin->connections.empty());
}

TEST_CASE("silence after the first flight is a rescue, and not the interceptor's fault") {
  World world("knock_open_ms = 50\nfirst_answer_limit_ms = 150");
  world.start_both();
  world.interceptor->mode = Mode::mute_after_200;
  std::string answer;
  {
    const Fd client = world.tunnel(World::kHost, kFlight, &answer);
    CHECK(answer == "O:" + kFlight);
  }
  const auto misses = world.wait_ledger(1);
  REQUIRE(misses.size() == 1);
  CHECK(misses[0].reason == "no_first_answer");
  CHECK(world.control("status").find("gate") == "open");
}

TEST_CASE("a metered call breaks in the middle") {
  World world;
  world.start_both();
  std::string answer;
  Fd client = world.tunnel(World::kHost, "hello", &answer);
  REQUIRE(answer == "M:hello");
  const auto tunnel = [&]() -> net::TcpStream& {
    for (auto& connection : world.interceptor->connections)
      if (connection->tunnel) return connection->stream;
    throw std::runtime_error("no tunnel");
  };
  SECTION("the interceptor died: the client sees the end, the ledger the loss, once") {
    world.interceptor->die();
    CHECK(world.read_all(client).empty());
    const auto misses = world.wait_ledger(1);  // the client still holds its end
    REQUIRE(misses.size() == 1);
    CHECK(misses[0].reason == "interceptor_lost");
    CHECK(misses[0].bytes_down == 7);
    client.close();
    REQUIRE(world.wait_open_calls(0));
    CHECK(world.ledger().size() == 1);
    CHECK(world.control("status").find("gate") == "closed");
  }
  SECTION("the interceptor passed on a reset and lives: no miss") {
    tunnel().reset();
    CHECK(world.read_all(client).empty());
  }
  SECTION("the interceptor passed on the origin's end and lives: no miss") {
    tunnel().shutdown_write();
    CHECK(world.read_all(client).empty());
  }
  SECTION("it said before that it is leaving: no miss, and no further ask") {
    CHECK(world.control("leaving").number("ok") == 1);
    CHECK(world.control("status").find("gate") == "closed");
    world.interceptor->die();
    CHECK(world.read_all(client).empty());
  }
  if (world.ledger().empty()) {
    client.close();
    REQUIRE(world.wait_open_calls(0));
    world.turn(50);
    CHECK(world.ledger().empty());
  }
}

TEST_CASE("many calls break at once, and nobody knows the process: all of them end") {
  World world;  // the interceptor does not say who it is, as where there is no pidfd
  world.start_both();
  std::string answer;
  std::vector<Fd> clients;
  for (int i = 0; i < 8; ++i) clients.push_back(world.tunnel(World::kHost, "hello", &answer));
  for (Fd& client : clients) client.close();
  world.interceptor->die();
  // The first knock that fails closes the gate, and all others are asked to knock again.
  CHECK(world.wait_open_calls(0));
  for (const Miss& miss : world.ledger()) CHECK(miss.reason == "interceptor_lost");
}

TEST_CASE("the gate follows the interceptor, to another port too") {
  World world;
  world.start();  // alone
  std::string answer;
  world.tunnel(World::kHost, "alone", &answer);
  CHECK(answer == "O:alone");
  CHECK(world.control("status").find("gate") == "closed");

  world.start_interceptor();
  REQUIRE(world.wait_gate("open"));
  CHECK(world.control("status").number("internal_port") == world.interceptor->port);
  world.tunnel(World::kHost, "now", &answer);
  CHECK(answer == "M:now");

  world.interceptor->die();
  REQUIRE(world.wait_gate("closed"));
  world.start_interceptor();
  REQUIRE(world.wait_gate("open"));
  world.tunnel(World::kHost, "again", &answer);
  CHECK(answer == "M:again");

  SECTION("it hangs: three silent knocks") {
    world.interceptor->knock_status = 0;
    CHECK(world.wait_gate("closed"));
    world.interceptor->knock_status = 200;
    CHECK(world.wait_gate("open"));
  }
  SECTION("another proxy has come to listen there: its 200 opens nothing") {
    world.interceptor->knock_interim = false;
    CHECK(world.wait_gate("closed"));
    const int knocks = world.interceptor->knocks;
    REQUIRE(world.until([&] { return world.interceptor->knocks > knocks + 3; }));
    CHECK(world.control("status").find("gate") == "closed");
  }
  SECTION("another user's interceptor: opens nothing") {
    int ready[2];
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    const pid_t other = ::fork();
    REQUIRE(other >= 0);
    if (other == 0) {
      const char done = ::setresuid(65534, 65534, 65534) == 0 ? 'y' : 'n';
      if (::write(ready[1], &done, 1) == 1) ::pause();
      ::_exit(0);
    }
    char done = 'n';
    REQUIRE(::read(ready[0], &done, 1) == 1);
    // Who is not root takes the first process, which is.
    world.interceptor->process = done == 'y' ? other : 1;
    CHECK(world.wait_gate("closed"));
    const int knocks = world.interceptor->knocks;
    REQUIRE(world.until([&] { return world.interceptor->knocks > knocks + 3; }));
    CHECK(world.control("status").find("gate") == "closed");
    ::kill(other, SIGKILL);
    ::waitpid(other, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  SECTION("it meters nothing: 503 closes nothing") {
    world.interceptor->knock_status = 503;
    const int knocks = world.interceptor->knocks;
    REQUIRE(world.until([&] { return world.interceptor->knocks > knocks + 5; }));
    CHECK(world.control("status").find("gate") == "open");
  }
}

TEST_CASE("a server that speaks first, half-closes, and a long answer") {
  World world;
  world.start();
  std::string answer;
  const Fd client = world.tunnel("www.example.org", "x", &answer);
  auto& stream = world.origin->connections.front()->stream;
  const std::string large(3'000'000, 'y');
  REQUIRE(stream.write(as_bytes(large)));
  CHECK(world.read(client, large.size()) == large);
  ::shutdown(client.get(), SHUT_WR);
  REQUIRE(world.until([&] { return world.origin->connections.front()->ended; }));
  CHECK(world.read_all(client).empty());
  CHECK(world.wait_open_calls(0));
}

TEST_CASE("plain HTTP: rewritten head, body and answer pass") {
  World world;
  world.start();
  const Fd client = world.client();
  client.send_some(
      "POST http://www.example.org/a?b HTTP/1.1\r\nHost: www.example.org\r\n"
      "Proxy-Connection: keep-alive\r\nX-Mine:1\r\n\r\nbody");
  const std::string want =
      "POST /a?b HTTP/1.1\r\nHost: www.example.org\r\nX-Mine:1\r\nConnection: close\r\n\r\nbody";
  CHECK(world.read(client, want.size() + 2) == "O:" + want);
}

}  // namespace hm::edge::test
