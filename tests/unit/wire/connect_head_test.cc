#include "common/wire/connect_head.h"

#include <catch2/catch.hpp>

#include "common/wire/ask.h"
#include "tests/support/splits.h"

namespace hm::wire {
namespace {

struct Outcome {
  HeadState state = HeadState::more;
  HeadFailure failure = HeadFailure::none;
  ConnectHead head;
  size_t used = 0;
  std::string early;
};

Outcome read(std::string_view input, const test::Split& split, size_t limit) {
  Outcome outcome;
  ConnectHeadReader reader(limit);
  test::feed_split(as_bytes(input), split, [&](Bytes piece) {
    if (outcome.state != HeadState::more) {
      outcome.early += as_text(piece);
      return;
    }
    size_t used = 0;
    outcome.state = reader.feed(piece, used);
    REQUIRE(used <= piece.size());
    outcome.used += used;
    if (outcome.state != HeadState::more) outcome.early += as_text(piece.subspan(used));
  });
  outcome.failure = reader.failure();
  outcome.head = reader.head();
  return outcome;
}

// The outcome of the whole input, after every other cut was seen to give the same.
Outcome read(std::string_view input, size_t limit = ConnectHeadReader::kDefaultLimit) {
  const auto splits = test::standard_splits(input.size());
  const Outcome whole = read(input, splits[0], limit);
  for (const test::Split& split : splits) {
    INFO(split.name);
    const Outcome cut = read(input, split, limit);
    CHECK(cut.state == whole.state);
    CHECK(cut.failure == whole.failure);
    CHECK(cut.head.host == whole.head.host);
    CHECK(cut.head.port == whole.head.port);
    CHECK(cut.head.target == whole.head.target);
    CHECK(cut.head.lines == whole.head.lines);
    if (whole.state == HeadState::complete) {
      CHECK(cut.used == whole.used);
      CHECK(cut.early == whole.early);
    }
  }
  return whole;
}

}  // namespace

TEST_CASE("CONNECT heads as clients send them") {
  struct Case {
    std::string_view text;
    std::string_view host;
    uint16_t port;
    std::string_view version = "HTTP/1.1";
  };
  const auto [text, host, port, version] = GENERATE(
      Case{"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n",
           "api.openai.com", 443},
      Case{"CONNECT api.openai.com:8443 HTTP/1.0\r\n\r\n", "api.openai.com", 8443, "HTTP/1.0"},
      Case{"CONNECT API.OpenAI.com.:443 HTTP/1.1\r\n\r\n", "api.openai.com", 443},
      Case{"CONNECT [::1] HTTP/1.1\r\n\r\n", "::1", 443},
      Case{"CONNECT api.x.ai HTTP/1.1\r\nHost: api.x.ai\r\n\r\n", "api.x.ai", 443},
      Case{"connect a:1 HTTP/1.1\nHost: a\n\n", "a", 1},
      Case{"CONNECT [2001:DB8::1]:443 HTTP/1.1\r\n\r\n", "2001:db8::1", 443},
      Case{"CONNECT 127.0.0.1:65535 HTTP/1.1\r\n\r\n", "127.0.0.1", 65535},
      Case{"\r\n\r\nCONNECT a:2 HTTP/1.1\r\n\r\n", "a", 2},
      Case{"CONNECT a:3 HTTP/1.1\r\nEmpty:\r\nX: a: b \r\n\r\n", "a", 3});
  INFO(text);
  const Outcome outcome = read(text);
  REQUIRE(outcome.state == HeadState::complete);
  CHECK(outcome.head.connect);
  CHECK(outcome.head.host == host);
  CHECK(outcome.head.port == port);
  CHECK(outcome.head.version == version);
  CHECK(outcome.used == text.size());
}

TEST_CASE("what follows the head is not taken") {
  const std::string early("\x16\x03\x01\r\n\r\nCONNECT", 14);
  const Outcome outcome = read("CONNECT a:443 HTTP/1.1\r\nUser-Agent: x\r\n\r\n" + early);
  REQUIRE(outcome.state == HeadState::complete);
  CHECK(outcome.early == early);
  CHECK(outcome.head.header("user-agent") == "x");
  CHECK(outcome.head.header("absent").empty());
}

TEST_CASE("absolute form is rewritten for the origin") {
  struct Case {
    std::string_view text;
    std::string_view host;
    uint16_t port;
    std::string_view origin_head;
  };
  const auto [text, host, port, origin_head] = GENERATE(
      Case{"GET http://Example.org/a/b?c=d HTTP/1.1\r\nHost: Example.org\r\n"
           "Proxy-Authorization: Basic eDp5\r\nproxy-connection: keep-alive\r\nX:  a \r\n\r\n",
           "example.org", 80,
           "GET /a/b?c=d HTTP/1.1\r\nHost: Example.org\r\nX:  a \r\nConnection: close\r\n\r\n"},
      Case{"POST HTTP://a:8080 HTTP/1.0\nA:b\nConnection: keep-alive\nKeep-Alive: timeout=5\n\n",
           "a", 8080, "POST / HTTP/1.0\r\nA:b\nConnection: close\r\n\r\n"},
      Case{"GET http://a?q HTTP/1.1\r\n\r\n", "a", 80,
           "GET /?q HTTP/1.1\r\nConnection: close\r\n\r\n"},
      Case{"GET http://user:secret@[::1]:81/x@y HTTP/1.1\r\n\r\n", "::1", 81,
           "GET /x@y HTTP/1.1\r\nConnection: close\r\n\r\n"},
      Case{"GET http://a/ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "a", 80,
           "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"},
      // curl --http2: an offer that goes with any request.
      Case{"GET http://a/ HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
           "HTTP2-Settings: AAMAAABk\r\nAccept: */*\r\n\r\n",
           "a", 80, "GET / HTTP/1.1\r\nAccept: */*\r\nConnection: close\r\n\r\n"});
  INFO(text);
  const Outcome outcome = read(text);
  REQUIRE(outcome.state == HeadState::complete);
  CHECK_FALSE(outcome.head.connect);
  CHECK(outcome.head.host == host);
  CHECK(outcome.head.port == port);
  CHECK(origin_form_head(outcome.head) == origin_head);
}

TEST_CASE(
    "a plain request for an upstream proxy: absolute form, our credentials, not the client's") {
  const auto [target, want] = GENERATE(table<std::string, std::string>(
      {{"http://www.example.org/a?b", "http://www.example.org/a?b"},
       {"HTTP://User@WWW.example.org:80", "http://www.example.org/"},
       {"http://www.example.org:8080/", "http://www.example.org:8080/"},
       {"http://[2001:db8::1]/x", "http://[2001:db8::1]/x"},
       {"http://[2001:db8::1]:81?q", "http://[2001:db8::1]:81/?q"}}));
  const Outcome outcome = read("POST " + target +
                               " HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic bWluZQ==\r\n"
                               "Proxy-Connection: keep-alive\r\nX-Mine:1\r\n\r\n");
  REQUIRE(outcome.state == HeadState::complete);
  CHECK(absolute_form_head(outcome.head, "dTpw") ==
        "POST " + want +
            " HTTP/1.1\r\nHost: x\r\nX-Mine:1\r\nProxy-Authorization: Basic dTpw\r\n"
            "Connection: close\r\n\r\n");
  CHECK(absolute_form_head(outcome.head, "") ==
        "POST " + want + " HTTP/1.1\r\nHost: x\r\nX-Mine:1\r\nConnection: close\r\n\r\n");
}

TEST_CASE("origin form has no host: somebody takes us for a web server") {
  const Outcome outcome = read("GET /health HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n");
  REQUIRE(outcome.state == HeadState::complete);
  CHECK_FALSE(outcome.head.connect);
  CHECK(outcome.head.host.empty());
  CHECK(outcome.head.target == "/health");
}

TEST_CASE("malformed heads") {
  const std::string_view text = GENERATE(
      as<std::string_view>(), "GARBAGE\r\n\r\n", "CONNECT\r\n\r\n", "CONNECT  HTTP/1.1\r\n\r\n",
      "CONNECT :443 HTTP/1.1\r\n\r\n", "CONNECT a: HTTP/1.1\r\n\r\n",
      "CONNECT a:0 HTTP/1.1\r\n\r\n", "CONNECT a:65536 HTTP/1.1\r\n\r\n",
      "CONNECT a:44x HTTP/1.1\r\n\r\n", "CONNECT a:-1 HTTP/1.1\r\n\r\n",
      "CONNECT a b:443 HTTP/1.1\r\n\r\n", "CONNECT ::1:443 HTTP/1.1\r\n\r\n",
      "CONNECT [::1:443 HTTP/1.1\r\n\r\n", "CONNECT [::1]x HTTP/1.1\r\n\r\n",
      "CONNECT [abc]:443 HTTP/1.1\r\n\r\n", "CONNECT a/b:443 HTTP/1.1\r\n\r\n",
      "CONNECT u@a:443 HTTP/1.1\r\n\r\n", "CONNECT a:443 HTTP/2.0\r\n\r\n",
      "CONNECT a:443 HTTP/1.1 x\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nnonsense\r\n\r\n",
      "CONNECT a:443 HTTP/1.1\r\n folded\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nbad name: x\r\n\r\n",
      "CO(NNECT a:443 HTTP/1.1\r\n\r\n", "GET http:/// HTTP/1.1\r\n\r\n",
      "GET http://a:0/ HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n",
      std::string_view("CONNECT a\0b:443 HTTP/1.1\r\n\r\n", 28),
      std::string_view("\x16\x03\x01\x02\x00\x01", 6));
  INFO(text);
  const Outcome outcome = read(text);
  CHECK(outcome.state == HeadState::failed);
  CHECK(outcome.failure == HeadFailure::malformed);
}

TEST_CASE("a head has a limit, and one byte decides") {
  const std::string start = "CONNECT a:443 HTTP/1.1\r\nX: ";
  for (const size_t limit : {size_t{64}, ConnectHeadReader::kDefaultLimit}) {
    std::string fits = start;
    fits.append(limit - start.size() - 4, 'x').append("\r\n\r\n");
    REQUIRE(fits.size() == limit);
    CHECK(read(fits, limit).state == HeadState::complete);
    const Outcome outcome = read(start + std::string(limit, 'x') + "\r\n\r\n", limit);
    CHECK(outcome.state == HeadState::failed);
    CHECK(outcome.failure == HeadFailure::too_large);
  }
  // Binary noise is malformed however much of it comes at once.
  CHECK(read("\x16" + std::string(20'000, 'x')).failure == HeadFailure::malformed);
}

TEST_CASE("after its end a reader takes nothing more") {
  ConnectHeadReader reader;
  CHECK(reader.empty());
  size_t used = 0;
  CHECK(reader.feed(as_bytes("bad\r\n\r\n"), used) == HeadState::failed);
  CHECK(reader.feed(as_bytes("CONNECT a:443 HTTP/1.1\r\n\r\n"), used) == HeadState::failed);
  CHECK(used == 0);
}

TEST_CASE("answer heads, one after the other, and the tunnel's first bytes") {
  const std::string text =
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.0 200 Connection established\nX: y\n\n\x16\x03";
  for (const test::Split& split : test::standard_splits(text.size())) {
    INFO(split.name);
    AnswerHeadReader reader;
    std::vector<int> statuses;
    std::string after;
    test::feed_split(as_bytes(text), split, [&](Bytes piece) {
      while (!piece.empty()) {
        if (!statuses.empty() && statuses.back() == 200) {
          after += as_text(piece);
          return;
        }
        size_t used = 0;
        const HeadState state = reader.feed(piece, used);
        REQUIRE(state != HeadState::failed);
        piece = piece.subspan(used);
        if (state == HeadState::more) return;
        statuses.push_back(reader.status());
        if (reader.status() < 200) reader.next();
      }
    });
    CHECK(statuses == std::vector<int>{102, 200});
    CHECK(after == "\x16\x03");
  }
}

TEST_CASE("answers that are none") {
  const std::string text =
      GENERATE("HTTP/2 200\r\n\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 -12 x\r\n\r\n",
               "HTTP/1.1 099 x\r\n\r\n", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n");
  INFO(text);
  AnswerHeadReader reader;
  size_t used = 0;
  CHECK(reader.feed(as_bytes(text), used) == HeadState::failed);
  CHECK(reader.feed(as_bytes("HTTP/1.1 200 OK\r\n\r\n"), used) == HeadState::failed);

  AnswerHeadReader bounded(100);
  CHECK(bounded.feed(as_bytes(std::string(200, 'x')), used) == HeadState::failed);
}

TEST_CASE("the interim answer says whose it is") {
  AnswerHeadReader reader;
  size_t used = 0;
  CHECK(reader.feed(as_bytes(processing_head(4711)), used) == HeadState::complete);
  CHECK(reader.status() == 102);
  CHECK(reader.process() == 4711);
  for (const char* text :
       {"HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 102 X-Halton-Process: 5\r\n\r\n",
        "HTTP/1.1 102 Processing\r\nX-Halton-Process: me\r\n\r\n"}) {
    reader.next();
    CHECK(reader.feed(as_bytes(text), used) == HeadState::complete);
    CHECK(reader.process() == 0);
  }
}

TEST_CASE("the ask is a CONNECT head that a reader understands") {
  const std::string ask = ask_head("2001:db8::1", 443, "0123", 50000, 8081);
  const Outcome outcome = read(ask);
  REQUIRE(outcome.state == HeadState::complete);
  CHECK(outcome.head.host == "2001:db8::1");
  CHECK(outcome.head.header("host") == "[2001:db8::1]:443");
  CHECK(outcome.head.header(kCallIdHeader) == "0123");
  CHECK(outcome.head.header(kClientPortHeader) == "50000");
  CHECK(outcome.head.header(kEdgePortHeader) == "8081");
}

TEST_CASE("replies are whole answers with a sentence") {
  CHECK(connected_reply() == "HTTP/1.1 200 Connection established\r\n\r\n");
  const std::vector<std::pair<std::string_view, int>> replies{
      {bad_request_reply(), 400},  {own_port_reply(), 403},       {not_an_origin_reply(), 404},
      {head_timeout_reply(), 408}, {head_too_large_reply(), 431}, {bad_gateway_reply(), 502},
      {proxy_auth_reply(), 407},   {proxy_refused_reply(), 502},  {unavailable_reply(), 503}};
  for (const auto& [reply, status] : replies) {
    INFO(reply);
    AnswerHeadReader reader;
    size_t used = 0;
    REQUIRE(reader.feed(as_bytes(reply), used) == HeadState::complete);
    CHECK(reader.status() == status);
    const std::string_view head = reply.substr(0, used);
    const std::string_view body = reply.substr(used);
    CHECK(head.find("Content-Length: " + std::to_string(body.size()) + "\r\n") !=
          std::string_view::npos);
    CHECK(head.find("Connection: close\r\n") != std::string_view::npos);
    CHECK(body.ends_with(".\n"));
  }
}

}  // namespace hm::wire
