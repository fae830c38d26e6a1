#include "interceptor/api/api_thread.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/splits.h"

using hm::api::ApiThread;

namespace {

class Heartbeat final : public hm::api::HealthSource {
 public:
  int64_t last_relay_heartbeat_us() const override { return at; }
  std::atomic<int64_t> at = hm::system_clock().steady_us();
};

// A blocking client with a deadline.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval limit{20, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { ::close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void finish() { ::shutdown(socket_, SHUT_WR); }

  // One response with a Content-Length, head and body; what is there when the connection ends.
  std::string response(bool to_head = false) {
    size_t head_end = std::string::npos;
    while ((head_end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return std::exchange(input_, {});
    }
    size_t length = 0;
    const size_t at = input_.find("Content-Length: ");
    if (!to_head && at != std::string::npos && at < head_end) {
      length = std::stoul(input_.substr(at + 16));
    }
    while (input_.size() < head_end + 4 + length) {
      if (!more()) break;
    }
    std::string result = input_.substr(0, head_end + 4 + length);
    input_.erase(0, result.size());
    return result;
  }
  bool at_end() { return input_.empty() && !more(); }

 private:
  bool more() {
    char buffer[65536];
    const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
    if (got > 0) input_.append(buffer, static_cast<size_t>(got));
    return got > 0;
  }

  int socket_;
  bool connected_ = false;
  std::string input_;
};

struct Fixture {
  Heartbeat heartbeat;
  ApiThread api{{0, {"http://localhost:3000"}, "9.9"}, heartbeat};
  uint16_t port = 0;
  Fixture() {
    const auto bound = api.start();
    REQUIRE(bound);
    port = *bound;
    REQUIRE(port != 0);
  }
};

const std::string kHealth = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

bool is_health(const std::string& response) {
  return response.starts_with("HTTP/1.1 200 OK\r\n") &&
         response.find("\r\n\r\n{\"status\":\"ok\",\"version\":\"9.9\"") != std::string::npos &&
         response.ends_with("}}");
}

}  // namespace

TEST_CASE("the API answers on loopback, again and again on one connection") {
  Fixture f;
  Client client(f.port);
  REQUIRE(client.connected());
  for (int i = 0; i < 3; ++i) {
    REQUIRE(client.send(kHealth));
    const std::string response = client.response();
    INFO(response);
    CHECK(is_health(response));
    CHECK(response.find("Connection: keep-alive\r\n") != std::string::npos);
  }
}

TEST_CASE("a relay that has stopped beating is told with 503") {
  class Shifted final : public hm::Clock {
   public:
    int64_t steady_us() const override { return now; }
    int64_t wall_us() const override { return now; }
    std::atomic<int64_t> now = 1'000'000;
  } clock;
  Heartbeat heartbeat;
  heartbeat.at = 1'000'000;
  ApiThread api({0, {}, "1"}, heartbeat, clock);
  const auto port = api.start();
  REQUIRE(port);
  Client client(*port);
  clock.now = 6'500'000;
  REQUIRE(client.send(kHealth));
  const std::string stalled = client.response();
  CHECK(stalled.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  CHECK(stalled.find("{\"status\":\"stalled\"") != std::string::npos);
  heartbeat.at = 6'000'000;
  REQUIRE(client.send(kHealth));
  CHECK(client.response().find("\"relay_heartbeat_age_ms\":500,") != std::string::npos);
}

TEST_CASE("requests may come in any pieces, and several at once") {
  Fixture f;
  const std::string requests =
      kHealth + "HEAD /health HTTP/1.1\r\nHost: [::1]:1\r\n\r\n" +
      "POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc" +
      "POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
      "chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" +
      kHealth;
  for (const auto& split : hm::test::standard_splits(requests.size(), 1)) {
    INFO(split.name);
    Client client(f.port);
    hm::test::feed_split(hm::as_bytes(requests), split,
                         [&](hm::Bytes piece) { REQUIRE(client.send(hm::as_text(piece))); });
    CHECK(is_health(client.response()));
    const std::string head = client.response(true);
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(client.response().starts_with("HTTP/1.1 405 "));
    CHECK(client.response().starts_with("HTTP/1.1 404 "));
    CHECK(is_health(client.response()));
  }
}

TEST_CASE("connections end when they should") {
  Fixture f;
  struct Case {
    std::string request;
    const char* expected;
  };
  const std::vector<Case> cases{
      {"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
      {"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n", "HTTP/1.1 200 "},
      {"GET /health HTTP/2.0\r\n\r\n", "HTTP/1.1 400 "},
      {"nonsense\r\n\r\n", "HTTP/1.1 400 "},
      {"GET /health HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n", "HTTP/1.1 431 "},
      {"POST /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" +
           std::string(200000, 'x'),
       "HTTP/1.1 413 "},
      {"POST /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
       "HTTP/1.1 400 "},
  };
  for (const Case& test : cases) {
    INFO(test.request.substr(0, 60));
    Client client(f.port);
    client.send(test.request);
    const std::string response = client.response();
    CHECK(response.starts_with(test.expected));
    CHECK(response.find("Connection: close\r\n") != std::string::npos);
    CHECK(client.at_end());
  }
  Client half(f.port);
  REQUIRE(half.send(kHealth));
  half.finish();
  CHECK(is_health(half.response()));
  CHECK(half.at_end());
}

TEST_CASE("strange hosts and origins are refused over the wire too") {
  Fixture f;
  Client client(f.port);
  REQUIRE(client.send("GET /health HTTP/1.1\r\nHost: evil.test\r\n\r\n"));
  CHECK(client.response().starts_with("HTTP/1.1 403 Forbidden\r\n"));
  REQUIRE(client.send("GET /health HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a.test\r\n\r\n"));
  CHECK(client.response().starts_with("HTTP/1.1 403 Forbidden\r\n"));
  REQUIRE(client.send(
      "GET /none HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n\r\n"));
  CHECK(client.response().find("Access-Control-Allow-Origin: http://localhost:3000\r\n") !=
        std::string::npos);
  REQUIRE(client.send("OPTIONS /health HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  const std::string preflight = client.response();
  CHECK(preflight.starts_with("HTTP/1.1 204 No Content\r\n"));
  CHECK(preflight.find("Content-Length") == std::string::npos);
}

TEST_CASE("a reader that does not read is not answered without end") {
  Fixture f;
  Client client(f.port);
  std::string many;
  for (int i = 0; i < 4000; ++i) many += kHealth;
  // More answers than both ends' buffers hold; the sender is still ahead of them.
  REQUIRE(client.send(many));
  for (int i = 0; i < 4000; ++i) {
    if (!is_health(client.response())) FAIL("answer " << i);
  }
}

TEST_CASE("a taken port means the next free one") {
  Fixture first;
  Heartbeat heartbeat;
  ApiThread second({first.port, {}, "2"}, heartbeat);
  const auto bound = second.start();
  REQUIRE(bound);
  CHECK(*bound > first.port);
  CHECK(*bound <= first.port + 20);
  Client client(*bound);
  REQUIRE(client.send(kHealth));
  CHECK(client.response().find("\"version\":\"2\"") != std::string::npos);
}

TEST_CASE("more connections than the cap are closed, and room comes back") {
  Fixture f;
  {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 64; ++i) {
      clients.push_back(std::make_unique<Client>(f.port));
      REQUIRE(clients.back()->send(kHealth));
      REQUIRE(is_health(clients.back()->response()));
    }
    Client refused(f.port);
    CHECK(refused.at_end());
  }
  bool served = false;
  for (int attempt = 0; attempt < 100 && !served; ++attempt) {
    Client client(f.port);
    served = client.send(kHealth) && is_health(client.response());
    if (!served) usleep(50'000);
  }
  CHECK(served);
}

TEST_CASE("stopping closes what is open and may be done twice") {
  Fixture f;
  Client idle(f.port);
  REQUIRE(idle.send(kHealth + "GET /hea"));
  CHECK(is_health(idle.response()));
  f.api.stop();
  CHECK(idle.at_end());
  f.api.stop();
  CHECK_FALSE(Client(f.port).connected());
}
