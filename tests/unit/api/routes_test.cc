#include "interceptor/api/routes.h"

#include <catch2/catch.hpp>

#include "interceptor/api/access.h"
#include "interceptor/api/api_thread.h"

using hm::api::ApiResponse;
using hm::http::RequestHead;

namespace {

class Heartbeat final : public hm::api::HealthSource {
 public:
  int64_t last_relay_heartbeat_us() const override { return at; }
  int64_t at = 0;
};

struct Fixture {
  hm::ManualClock clock;
  Heartbeat heartbeat;
  hm::api::ApiContext context{heartbeat, clock, "1.2.3", clock.steady_us()};
  hm::api::Routes routes{context, {"http://localhost:3000"}};

  [[nodiscard]] ApiResponse ask(std::string method, std::string target,
                                std::vector<hm::http::Header> more = {}) const {
    RequestHead head;
    head.method = std::move(method);
    head.target = std::move(target);
    head.version = "1.1";
    head.headers = std::move(more);
    if (head.header("host").empty()) head.headers.push_back({"host", "localhost:8765"});
    return routes.answer(head);
  }
};

std::string field(const ApiResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace

TEST_CASE("only names of this machine are hosts") {
  for (const char* host :
       {"localhost", "LocalHost:1", "127.0.0.1:8765", "127.0.0.1", "[::1]", "[::1]:65535"}) {
    INFO(host);
    CHECK(hm::api::is_loopback_host(host));
  }
  for (const char* host : {"", "evil.test", "localhost.evil.test", "localhost:", "localhost:x",
                           "localhost:123456", "127.0.0.1.nip.io", "127.0.0.2", "::1", "[::1",
                           "[::1]8765", "localhost:80@evil.test", "user@localhost"}) {
    INFO(host);
    CHECK_FALSE(hm::api::is_loopback_host(host));
  }
}

TEST_CASE("health says how the relay is") {
  Fixture f;
  f.clock.advance_us(3'400'000);
  const ApiResponse young = f.ask("GET", "/health");  // no heartbeat yet, and not overdue
  CHECK(young.status == 200);
  f.heartbeat.at = f.clock.steady_us();
  f.clock.advance_us(5'000'000);
  const ApiResponse well = f.ask("GET", "/health?x=1");
  CHECK(well.status == 200);
  CHECK(well.content_type == "application/json");
  CHECK(well.body.starts_with(R"({"status":"ok","version":"1.2.3","uptime_s":8,"pid":)"));
  CHECK(well.body.find(R"("relay_heartbeat_age_ms":5000,"counters":{)") != std::string::npos);
  f.clock.advance_us(1'000);
  const ApiResponse stalled = f.ask("GET", "/health");
  CHECK(stalled.status == 503);
  CHECK(stalled.body.starts_with(R"({"status":"stalled")"));
}

TEST_CASE("paths and methods") {
  const Fixture f;
  CHECK(f.ask("HEAD", "/health").status == 200);
  CHECK(f.ask("GET", "/").status == 404);
  CHECK(f.ask("GET", "/health/").status == 404);
  CHECK(f.ask("GET", "/healthy").status == 404);
  CHECK(f.ask("GET", "//health").status == 404);
  CHECK(f.ask("GET", "/v1/none").body == R"({"detail":"no such path"})");
  CHECK(f.ask("GET", "http://localhost/health").status == 400);
  CHECK(f.ask("OPTIONS", "*").status == 400);
  const ApiResponse post = f.ask("POST", "/health");
  CHECK(post.status == 405);
  CHECK(field(post, "Allow") == "GET, HEAD, OPTIONS");
  CHECK(f.ask("POST", "/none").status == 404);
}

TEST_CASE("hosts and origins") {
  const Fixture f;
  CHECK(f.ask("GET", "/health", {{"host", "evil.test"}}).status == 403);
  CHECK(f.ask("GET", "/health", {{"host", "localhost"}, {"host", "localhost"}}).status == 403);
  for (const char* origin : {"http://evil.test", "null", "", "http://localhost:3001",
                             "https://localhost:3000", "http://localhost:3000.evil.test"}) {
    INFO(origin);
    const ApiResponse refused = f.ask("GET", "/health", {{"origin", origin}});
    CHECK(refused.status == 403);
    CHECK(field(refused, "Access-Control-Allow-Origin").empty());
  }
  const std::vector<hm::http::Header> listed{{"origin", "http://localhost:3000"}};
  for (const char* path : {"/health", "/none"}) {
    const ApiResponse answer = f.ask("GET", path, listed);
    CHECK(answer.status != 403);
    CHECK(field(answer, "Access-Control-Allow-Origin") == "http://localhost:3000");
    CHECK(field(answer, "Vary") == "Origin");
  }
  CHECK(f.ask("GET", "/health", {{"origin", "http://localhost:8765"}}).status == 200);
  CHECK(field(f.ask("GET", "/health"), "Access-Control-Allow-Origin").empty());
}

TEST_CASE("preflight requests") {
  const Fixture f;
  const ApiResponse answer =
      f.ask("OPTIONS", "/health",
            {{"origin", "http://localhost:3000"}, {"access-control-request-headers", "x-a, x-b"}});
  CHECK(answer.status == 204);
  CHECK(answer.body.empty());
  CHECK(field(answer, "Access-Control-Allow-Origin") == "http://localhost:3000");
  CHECK(field(answer, "Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS");
  CHECK(field(answer, "Access-Control-Allow-Headers") == "x-a, x-b");
  const ApiResponse odd =
      f.ask("OPTIONS", "/health", {{"access-control-request-headers", "x\rSet-Cookie: a"}});
  CHECK(field(odd, "Access-Control-Allow-Headers").empty());
}

TEST_CASE("percent signs in paths") {
  CHECK(hm::api::percent_decoded("my%20project%2F%c3%A4") == "my project/\xC3\xA4");
  CHECK(hm::api::percent_decoded("100%") == "100%");
  CHECK(hm::api::percent_decoded("%zz%4") == "%zz%4");
}
