#include "common/net/dialer.h"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/unit/net/dial_support.h"

using namespace hm;
using namespace hm::net;
using namespace hm::net::test;

namespace {

// Plays an upstream proxy on a plain descriptor: reads one head, answers what it was told to.
std::string serve_proxy(Loop& loop, const Fd& server, Fd& connection, std::string_view answer,
                        bool byte_by_byte = false) {
  server.non_blocking();
  REQUIRE(run_until(loop, [&] {
    connection = accept_from(server);
    return connection.open();
  }));
  std::string head;
  REQUIRE(run_until(loop, [&] { return (head += connection.take()).ends_with("\r\n\r\n"); }));
  if (!byte_by_byte) {
    connection.send_some(answer);
  } else {
    size_t at = 0;
    REQUIRE(run_until(loop, [&] {
      connection.send_some(answer.substr(at++, 1));
      return at == answer.size();
    }));
  }
  return head;
}

}  // namespace

TEST_CASE("dialer: literals, with and without brackets", "[dialer]") {
  Loop loop;
  auto [server, port] = listening();
  const DialOptions options;
  Dialer dialer(loop, options);
  Dialled dialled;
  dialer.dial("127.0.0.1", port, dialled.callback());
  CHECK(dialled.calls == 0);
  REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
  REQUIRE(dialled.ok());
  CHECK((*dialled.result)->peer().port == port);

  TcpListener six(loop, [](TcpSocket) {});
  if (const auto six_port = six.listen("::1", 0); six_port) {
    for (const char* host : {"::1", "[::1]"}) {
      dialer.dial(host, *six_port, dialled.callback());
      const int before = dialled.calls;
      REQUIRE(run_until(loop, [&] { return dialled.calls > before; }));
      REQUIRE(dialled.ok());
      CHECK((*dialled.result)->peer().address == "::1");
    }
  }
}

TEST_CASE("dialer: names are resolved, failures have names", "[dialer]") {
  Loop loop;
  DialOptions options;
  Dialer dialer(loop, options);
  Dialled dialled;
  SECTION("localhost") {
    auto [server, port] = listening();  // on IPv4 only: ::1, if it is tried, is refused first
    dialer.dial("localhost", port, dialled.callback());
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    CHECK(dialled.ok());
  }
  SECTION("no such name") {
    dialer.dial("no-such-host.invalid", 443, dialled.callback());
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    CHECK_FALSE(dialled.ok());
    CHECK((dialled.code() == Code::not_found || dialled.code() == Code::timeout));
  }
  SECTION("not a name") {
    for (const std::string& host : {std::string(), std::string("a b"), std::string("a\r\nb"),
                                    std::string(300, 'a'), std::string("a\0b", 3)}) {
      dialled = {};
      dialer.dial(host, 443, dialled.callback());
      CHECK(dialled.calls == 0);
      REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
      CHECK(dialled.code() == Code::malformed);
    }
  }
  SECTION("refused") {
    dialer.dial("127.0.0.1", dead_port(), dialled.callback());
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    REQUIRE_FALSE(dialled.ok());
    CHECK(dialled.code() == Code::refused);
    CHECK(dialled.result->error().detail == ECONNREFUSED);
  }
  SECTION("no answer") {
    const BlackHole hole;
    options.timeout_ms = 100;
    dialer.dial("127.0.0.1", hole.port, dialled.callback());
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    REQUIRE_FALSE(dialled.ok());
    CHECK(dialled.code() == Code::timeout);
  }
  CHECK(dialled.calls == 1);
}

TEST_CASE("dialer: local, cancelled, destroyed, dialled again from the callback", "[dialer]") {
  Loop loop;
  auto [server, port] = listening();
  DialOptions options;
  options.proxy = UpstreamProxy{"127.0.0.1", 1, ""};
  options.connect_to[std::string("127.0.0.1:") + std::to_string(port)] = "127.0.0.1:1";
  auto dialer = std::make_unique<Dialer>(loop, options);
  Dialled dialled;
  dialer->dial_local(port, 1000, dialled.callback());
  REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
  CHECK(dialled.ok());

  dialer->dial_local(port, 1000, dialled.callback());
  dialer->cancel();
  dialer->dial("localhost", port, dialled.callback());
  dialer->cancel();
  loop.run();
  CHECK(dialled.calls == 1);

  int again = 0;
  std::function<void(Result<TcpSocket>)> next = [&](Result<TcpSocket> result) {
    CHECK(result.has_value());
    if (++again < 3)
      dialer->dial_local(port, 1000, next);
    else
      dialer.reset();
  };
  dialer->dial_local(port, 1000, next);
  loop.run();
  CHECK(again == 3);
  CHECK(dialer == nullptr);

  dialer = std::make_unique<Dialer>(loop, options);
  dialer->dial("localhost", port, dialled.callback());
  dialer.reset();
  loop.run();
  CHECK(dialled.calls == 1);
}

TEST_CASE("dialer: connect_to leads elsewhere, any case, brackets", "[dialer]") {
  Loop loop;
  auto [server, port] = listening();
  const std::string target = "127.0.0.1:" + std::to_string(port);
  DialOptions options;
  options.connect_to["api.openai.com:443"] = target;
  options.connect_to["[2001:db8::1]:443"] = "localhost:" + std::to_string(port);
  options.connect_to["broken:443"] = "nonsense";
  Dialer dialer(loop, options);
  for (const char* host : {"api.openai.com", "API.OpenAI.com", "2001:db8::1", "[2001:db8::1]"}) {
    Dialled dialled;
    dialer.dial(host, 443, dialled.callback());
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    CHECK(dialled.ok());
  }
  Dialled dialled;
  dialer.dial("broken", 443, dialled.callback());
  REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
  CHECK(dialled.code() == Code::malformed);
}

TEST_CASE("dialer: through a proxy, whose head may be followed by bytes", "[dialer]") {
  Loop loop;
  auto [server, port] = listening();
  DialOptions options;
  options.proxy = UpstreamProxy{GENERATE("127.0.0.1", "localhost"), port, "dXNlcjpwYXNz"};
  options.connect_to["mapped.example:443"] = "elsewhere.example:8443";
  Dialer dialer(loop, options);
  Dialled dialled;
  const std::string host = GENERATE("api.example", "2001:db8::7", "mapped.example");
  dialer.dial(host, 443, dialled.callback());
  const bool byte_by_byte = GENERATE(false, true);
  const std::string interim = GENERATE("", "HTTP/1.1 102 Processing\r\n\r\n");
  Fd proxy;
  const std::string head = serve_proxy(
      loop, server, proxy,
      interim + "HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nSSH-2.0-first words",
      byte_by_byte);
  const std::string target = host == "mapped.example" ? "elsewhere.example:8443"
                             : host == "2001:db8::7"  ? "[2001:db8::7]:443"
                                                      : host + ":443";
  CHECK(head == "CONNECT " + target + " HTTP/1.1\r\nHost: " + target +
                    "\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n");
  REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
  REQUIRE(dialled.ok());
  Recorder recorder;
  TcpStream stream(loop, recorder);
  stream.adopt(std::move(**dialled.result));
  stream.start_reading();
  CHECK(run_until(loop, [&] { return recorder.read == "SSH-2.0-first words"; }));
  REQUIRE(stream.write(as_bytes("reply")));
  std::string got;
  CHECK(run_until(loop, [&] { return (got += proxy.take()) == "reply"; }));
}

TEST_CASE("dialer: a proxy may refuse, lie, babble, hang up or be silent", "[dialer]") {
  Loop loop;
  auto [server, port] = listening();
  DialOptions options;
  options.proxy = UpstreamProxy{"127.0.0.1", port, ""};
  options.timeout_ms = 300;
  Dialer dialer(loop, options);
  struct Case {
    std::string answer;
    Code code;
    int64_t detail;
  };
  const Case c = GENERATE(
      Case{"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Code::refused, 407},
      Case{"HTTP/1.0 502 Bad\n\n", Code::refused, 502},
      Case{"HTTP/1.1 302 Found\r\n\r\n", Code::refused, 302},
      Case{"SSH-2.0-OpenSSH\r\n\r\n", Code::malformed, 0},
      Case{"HTTP/1.1 2x0 OK\r\n\r\n", Code::malformed, 0}, Case{"\r\n\r\n", Code::malformed, 0},
      Case{std::string(9000, 'x'), Code::too_large, 0},
      Case{"HTTP/1.1 200 OK\r\n", Code::timeout, ETIMEDOUT}, Case{"hang up", Code::closed, 0});
  Dialled dialled;
  dialer.dial("api.example", 443, dialled.callback());
  Fd proxy;
  const std::string head = serve_proxy(loop, server, proxy, c.answer);
  CHECK(head.find("Proxy-Authorization") == std::string::npos);
  if (c.answer == "hang up") proxy.close();
  REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
  REQUIRE_FALSE(dialled.ok());
  CHECK(dialled.code() == c.code);
  CHECK(dialled.result->error().detail == c.detail);
}

TEST_CASE("dialer: loopback never goes to the proxy", "[dialer]") {
  Loop loop;
  auto [server, port] = listening();
  DialOptions options;
  options.proxy = UpstreamProxy{"127.0.0.1", dead_port(), ""};
  options.connect_to["api.example:443"] = "127.0.0.1:" + std::to_string(port);
  Dialer dialer(loop, options);
  for (const auto& [host, at] : {std::pair<std::string, uint16_t>{"127.0.0.1", port},
                                 {"localhost", port},
                                 {"api.example", uint16_t{443}}}) {
    Dialled dialled;
    dialer.dial(host, at, dialled.callback());
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    CHECK(dialled.ok());
  }
}

TEST_CASE("who goes past the proxy", "[dialer]") {
  struct Case {
    std::vector<std::string> no_proxy;
    std::string host;
    bool expected;
  };
  const std::vector<Case> cases = {
      {{}, "api.openai.com", false},
      {{}, "localhost", true},
      {{}, "LOCALHOST.", true},
      {{}, "dev.localhost", true},
      {{}, "notlocalhost", false},
      {{}, "127.0.0.1", true},
      {{}, "127.8.9.10", true},
      {{}, "::1", true},
      {{}, "[::1]", true},
      {{}, "::ffff:127.0.0.1", true},
      {{}, "0.0.0.0", true},
      {{}, "10.0.0.1", false},
      {{"*"}, "anything", true},
      {{"corp.example"}, "corp.example", true},
      {{"corp.example"}, "CORP.Example", true},
      {{"corp.example"}, "git.corp.example", true},
      {{"corp.example"}, "notcorp.example", false},
      {{".corp.example"}, "git.corp.example", true},
      {{"*.corp.example"}, "git.corp.example", true},
      {{".corp.example"}, "evilcorp.example", false},
      {{"", "."}, "a.b", false},
      {{"10.0.0.7"}, "10.0.0.7", true},
      {{"10.0.0.7"}, "10.0.0.8", false},
      {{"10.0.0.0/8"}, "10.200.3.4", true},
      {{"10.0.0.0/8"}, "11.0.0.1", false},
      {{"192.168.128.0/17"}, "192.168.129.1", true},
      {{"192.168.128.0/17"}, "192.168.127.1", false},
      {{"10.0.0.0/99"}, "10.0.0.1", false},
      {{"10.0.0.0/x"}, "10.0.0.1", false},
      {{"fd00::/8"}, "fd12::1", true},
      {{"[fd12::1]"}, "fd12::1", true},
      {{"10.0.0.0/8"}, "ten.example", false},
  };
  for (const Case& c : cases) {
    DialOptions options;
    options.no_proxy = c.no_proxy;
    INFO(c.host << " with " << (c.no_proxy.empty() ? "nothing" : c.no_proxy.front()));
    CHECK(bypasses_proxy(options, c.host) == c.expected);
  }
}
