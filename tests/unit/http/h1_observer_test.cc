#include "interceptor/http/h1_observer.h"

#include <catch2/catch.hpp>

#include "tests/unit/http/h1_dialogue.h"

using hm::test::client;
using hm::test::kClientFin;
using hm::test::kClientRst;
using hm::test::kOriginFin;
using hm::test::kOriginRst;
using hm::test::Line;
using hm::test::origin;
using hm::test::play;

namespace {

const std::string kGet = "GET /a HTTP/1.1\r\nHost: api.test\r\n\r\n";
const std::string kGetSeen = "> GET /a @api.test\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
const std::string kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
const std::string kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const std::string kUntilClose = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

struct Case {
  const char* what;
  std::vector<Line> lines;
  std::string expected;
};

void check(const std::vector<Case>& cases) {
  for (const Case& test : cases) {
    size_t length = 0;
    for (const Line& line : test.lines) length = std::max(length, line.bytes.size());
    for (const auto& split : hm::test::standard_splits(length)) {
      INFO(test.what << ", " << split.name);
      CHECK(play(test.lines, split) == test.expected);
    }
  }
}

}  // namespace

TEST_CASE("exchanges one after the other") {
  check({
      {"a request and its response",
       {client("POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"),
        origin(kOk), kClientFin, kOriginFin},
       "1> POST /v1/messages @h\n1> 'hello'\n1>.\n1< 200\n1< 'hi'\n1complete\n"},
      {"keep-alive",
       {client(kGet), origin(kOk), client(kGet), origin(kOk), kOriginFin, kClientFin},
       "1" + kGetSeen + "1>.\n1< 200\n1< 'hi'\n1complete\n2" + kGetSeen +
           "2>.\n2< 200\n2< 'hi'\n2complete\n"},
      {"pipelining",
       {client(kGet + "HEAD /b HTTP/1.1\r\nHost: h\r\n\r\n" + kGet),
        origin(kOk + "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + kOk)},
       "1" + kGetSeen + "1>.\n2> HEAD /b @h\n2>.\n3" + kGetSeen +
           "3>.\n1< 200\n1< 'hi'\n1complete\n2< 200\n2complete\n3< 200\n3< 'hi'\n3complete\n"},
      {"empty lines between messages",
       {client("\r\n\n" + kGet + "\r\n"), origin("\r\n" + kOk + "\r\n"), client(kGet), origin(kOk)},
       "1" + kGetSeen + "1>.\n1< 200\n1< 'hi'\n1complete\n2" + kGetSeen +
           "2>.\n2< 200\n2< 'hi'\n2complete\n"},
      {"HTTP/1.0 keep-alive",
       {client("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
        origin("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"),
        client("GET / HTTP/1.0\r\n\r\n"), origin("HTTP/1.0 200 OK\r\n\r\nyy"), kOriginFin},
       "1> GET / @\n1>.\n1< 200\n1< 'x'\n1complete\n2> GET / @\n2>.\n2< 200\n2< 'yy'\n2complete\n"},
      {"authority in the target",
       {client("GET http://u:p@other.test:8/x HTTP/1.1\r\nHost: h\r\n\r\n")},
       "1> GET http://u:p@other.test:8/x @other.test:8\n1>.\n"},
      {"unknown method, no reason phrase",
       {client("PROPFIND2 * HTTP/1.1\r\n\r\n"), origin("HTTP/1.1 200\r\nContent-Length:0\r\n\r\n")},
       "1> PROPFIND2 * @\n1>.\n1< 200\n1complete\n"},
  });
}

TEST_CASE("bodies that are not there") {
  check({
      {"HEAD",
       {client("HEAD / HTTP/1.1\r\n\r\n"),
        origin("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), client(kGet), origin(kOk)},
       "1> HEAD / @\n1>.\n1< 200\n1complete\n2" + kGetSeen + "2>.\n2< 200\n2< 'hi'\n2complete\n"},
      {"204 and 304",
       {client(kGet + kGet), origin("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not "
                                    "Modified\r\nContent-Length: 7\r\n\r\n")},
       "1" + kGetSeen + "1>.\n2" + kGetSeen + "2>.\n1< 204\n1complete\n2< 304\n2complete\n"},
      {"length 0",
       {client(kGet), origin("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")},
       "1" + kGetSeen + "1>.\n1< 200\n1complete\n"},
  });
}

TEST_CASE("chunked bodies") {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string start = "1" + kGetSeen + "1>.\n1< 200\n";
  check({
      {"both ways",
       {client(
            "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n"
            "0\r\n\r\n"),
        origin(head + "2\r\nhi\r\n00\r\n\r\n")},
       "1> POST / @\n1> 'abc0123456789'\n1>.\n1< 200\n1< 'hi'\n1complete\n"},
      {"extensions and trailers",
       {client(kGet),
        origin(head + "1;a=b;c=\"d;\"\r\nx\r\n01 ; y\r\nz\r\n0;end\r\nX-Sum: 1\r\nB:2\r\n\r\n"),
        client(kGet), origin(kOk)},
       start + "1< 'xz'\n1< trailers x-sum=1 b=2\n1complete\n2" + kGetSeen +
           "2>.\n2< 200\n2< 'hi'\n2complete\n"},
      {"bare LF and blanks behind the size",
       {client(kGet), origin("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2 \nhi\n0\t\n\n")},
       start + "1< 'hi'\n1complete\n"},
      {"chunked wins over a length",
       {client(kGet), origin("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n" + head.substr(17) +
                             "1\r\nx\r\n0\r\n\r\n")},
       start + "1< 'x'\n1complete\n"},
      {"identity is no coding",
       {client(kGet),
        origin("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx")},
       start + "1< 'x'\n1complete\n"},
      {"no last chunk",
       {client(kGet), origin(head + "2\r\nhi\r\n"), kOriginFin},
       start + "1< 'hi'\n1eof_early\n"},
      {"cut in the trailers",
       {client(kGet), origin(head + "2\r\nhi\r\n0\r\n"), kOriginFin},
       start + "1< 'hi'\n1eof_early\n"},
      {"no size", {client(kGet), origin(head + "\r\n")}, start + "error malformed\n"},
      {"bad size", {client(kGet), origin(head + "1x\r\n")}, start + "error malformed\n"},
      {"size beyond counting",
       {client(kGet), origin(head + "fffffffffffffffff\r\n")},
       start + "error malformed\n"},
      {"longer than its size",
       {client(kGet), origin(head + "2\r\nhix\r\n")},
       start + "1< 'hi'\nerror malformed\n"},
      {"endless extension",
       {client(kGet), origin(head + "2;" + std::string(5000, 'x'))},
       start + "error too large\n"},
      {"another coding",
       {client(kGet), origin("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n")},
       "1" + kGetSeen + "1>.\nerror unsupported\n"},
  });
}

TEST_CASE("interim and early responses") {
  const std::string post = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
  check({
      {"100-continue",
       {client(post), origin("HTTP/1.1 100 Continue\r\n\r\n"), client("body"), origin(kOk)},
       "1> POST / @\n1< interim 100\n1> 'body'\n1>.\n1< 200\n1< 'hi'\n1complete\n"},
      {"102 and 103",
       {client(kGet), origin("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: "
                             "<a>\r\nContent-Length: 5\r\n\r\n" +
                             kOk)},
       "1" + kGetSeen + "1>.\n1< interim 102\n1< interim 103\n1< 200\n1< 'hi'\n1complete\n"},
      {"413 before the upload is whole, then the next request",
       {client(post + "bo"), origin("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"),
        client("dy" + kGet), origin(kOk)},
       "1> POST / @\n1> 'bo'\n1< 413\n1complete\n2" + kGetSeen +
           "2>.\n2< 200\n2< 'hi'\n2complete\n"},
      {"response while the upload goes on",
       {client(post + "b"), origin(kOk.substr(0, kOk.size() - 1)), client("ody"), origin("i")},
       "1> POST / @\n1> 'b'\n1< 200\n1< 'h'\n1> 'ody'\n1>.\n1< 'i'\n1complete\n"},
      {"413 and a close",
       {client(post + "bo"), origin("HTTP/1.1 413 Too Large\r\n\r\nno"), kOriginFin, client("dy"),
        kClientFin},
       "1> POST / @\n1> 'bo'\n1< 413\n1< 'no'\n1complete\n"},
  });
}

TEST_CASE("how responses end") {
  const std::string start = "1" + kGetSeen + "1>.\n";
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
  const std::string half_seen = start + "1< 200\n1< 'he'\n";
  check({
      {"close-delimited, FIN",
       {client(kGet), origin(kUntilClose + "data"), kOriginFin, kClientFin},
       start + "1< 200\n1< 'data'\n1complete\n"},
      {"close-delimited, reset",
       {client(kGet), origin(kUntilClose + "data"), kOriginRst},
       start + "1< 200\n1< 'data'\n1reset\n"},
      {"close-delimited, the client went first",
       {client(kGet), origin(kUntilClose + "data"), kClientFin, kOriginFin},
       start + "1< 200\n1< 'data'\n1client_abort\n"},
      {"short", {client(kGet), origin(half), kOriginFin}, half_seen + "1eof_early\n"},
      {"reset", {client(kGet), origin(half), kOriginRst}, half_seen + "1reset\n"},
      {"client reset",
       {client(kGet), origin(half), kClientRst, origin("llo"), kOriginRst},
       half_seen + "1client_abort\n"},
      {"client FIN, then the origin's",
       {client(kGet), origin(half), kClientFin, kOriginFin},
       half_seen + "1client_abort\n"},
      {"client FIN, then a reset",
       {client(kGet), origin(half), kClientFin, kOriginRst},
       half_seen + "1client_abort\n"},
      {"half-closed client reads on",
       {client(kGet), kClientFin, origin(kOk), kOriginFin},
       start + "1< 200\n1< 'hi'\n1complete\n"},
      {"no response, FIN", {client(kGet), kOriginFin}, start + "1eof_early\n"},
      {"no response, reset", {client(kGet), kOriginRst}, start + "1reset\n"},
      {"no response, client gone", {client(kGet), kClientRst}, start + "1client_abort\n"},
      {"cut in the head",
       {client(kGet), origin("HTTP/1.1 200 O"), kOriginFin},
       start + "1eof_early\n"},
      {"pipelined and unanswered",
       {client(kGet + kGet), origin(kUntilClose + "x"), kOriginFin},
       start + "2" + kGetSeen + "2>.\n1< 200\n1< 'x'\n1complete\n2eof_early\n"},
      {"cut upload",
       {client("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbo"), kClientRst},
       "1> POST / @\n1> 'bo'\n1client_abort\n"},
      {"request that crossed the close",
       {client(kGet), origin(kOk), kOriginFin, client(kGet), kClientFin},
       start + "1< 200\n1< 'hi'\n1complete\n"},
      {"nothing at all", {kClientFin, kOriginFin}, ""},
  });
}

TEST_CASE("connections that stop being HTTP") {
  const std::string start = "1> GET /ws @h\n1>.\n";
  check({
      {"websocket",
       {client(kUpgrade), origin(kSwitch + "\x81\x02hi"), client("\x88\x80"), origin("\r\n"),
        kClientFin, kOriginFin},
       start +
           "1< 101\n1upgrade\n1raw< '\x81\x02hi'\n1raw> '\x88\x80'\n1raw< '\r\n'\n1client_abort\n"},
      {"websocket that the origin ends",
       {client(kUpgrade), origin(kSwitch + "x"), kOriginFin, kClientFin},
       start + "1< 101\n1upgrade\n1raw< 'x'\n1complete\n"},
      {"client does not wait",
       {client(kUpgrade + "early"), origin(kSwitch), client("more")},
       start + "1< 101\n1upgrade\n1raw> 'earlymore'\n"},
      {"refused, then the next request",
       {client(kUpgrade), origin("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"),
        client(kGet), origin(kOk)},
       start + "1< 426\n1complete\n2" + kGetSeen + "2>.\n2< 200\n2< 'hi'\n2complete\n"},
      {"refused, the next request was pipelined",
       {client(kUpgrade + kGet), origin(kOk + kOk)},
       start + "1< 200\n1< 'hi'\n1complete\n2" + kGetSeen + "2>.\n2< 200\n2< 'hi'\n2complete\n"},
      {"upgrade behind another request",
       {client(kGet + kUpgrade), origin(kOk + kSwitch + "x")},
       "1" + kGetSeen +
           "1>.\n2> GET /ws @h\n2>.\n1< 200\n1< 'hi'\n1complete\n2< 101\n2upgrade\n"
           "2raw< 'x'\n"},
      {"upgrade with a body that is late",
       {client(
            "POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\na"),
        origin(kSwitch), client("bc")},
       "1> POST / @\n1> 'a'\n1< 101\n1upgrade\n1> 'b'\n1>.\n1raw> 'c'\n"},
      {"CONNECT",
       {client("CONNECT a:443 HTTP/1.1\r\n\r\n"), origin("HTTP/1.1 200 OK\r\n\r\n"),
        client("hello"), origin("world"), kOriginRst},
       "1> CONNECT a:443 @a:443\n1>.\n1< 200\n1upgrade\n1raw> 'hello'\n1raw< 'world'\n1reset\n"},
      {"CONNECT refused",
       {client("CONNECT a:443 HTTP/1.1\r\n\r\n"),
        origin("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"), client(kGet)},
       "1> CONNECT a:443 @a:443\n1>.\n1< 407\n1< 'no'\n1complete\n2" + kGetSeen + "2>.\n"},
      {"client reset",
       {client(kUpgrade), origin(kSwitch), kClientRst, kOriginRst},
       start + "1< 101\n1upgrade\n1client_abort\n"},
      {"101 nobody asked for",
       {client(kGet), origin(kSwitch)},
       "1" + kGetSeen + "1>.\nerror malformed\n"},
  });
}

TEST_CASE("heads as they come") {
  const std::string start = "1> GET / @h\n1>.\n";
  check({
      {"bare LF",
       {client("GET / HTTP/1.1\nHost: h\n\n"), origin("HTTP/1.1 200 OK\nContent-Length: 1\n\nx")},
       start + "1< 200\n1< 'x'\n1complete\n"},
      {"folded lines",
       {client("GET / HTTP/1.1\r\nX: a\r\n b\r\nHost:\r\n\th \r\n\r\n"),
        origin("HTTP/1.1 200 OK\r\nContent-Length:\r\n 1\r\n\r\nx")},
       start + "1< 200\n1< 'x'\n1complete\n"},
      {"blanks and lines without a colon",
       {client("GET  /\tHTTP/1.1 \r\nHOST \t:   h\t\r\nnonsense\r\n more\r\n: no name\r\n\r\n")},
       start},
      {"equal lengths",
       {client("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
        origin("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\nContent-Length: 1\r\n\r\nx")},
       start + "1< 200\n1< 'x'\n1complete\n"},
      {"bytes above 127",
       {client("GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n")},
       "1> GET /\xc3\xa4 @h\n1>.\n"},
  });
}

TEST_CASE("what is not HTTP/1") {
  const std::string start = "1" + kGetSeen + "1>.\n";
  check({
      {"HTTP/2 preface", {client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}, "error unsupported\n"},
      {"version 3", {client("GET / HTTP/3.0\r\n\r\n")}, "error unsupported\n"},
      {"version 0.9", {client("GET /\r\n\r\n")}, "error malformed\n"},
      {"garbage", {client("\x16\x03\x01\n\n"), client(kGet)}, "error malformed\n"},
      {"origin speaks first",
       {origin("HTTP/1.1 200 OK\r\n\r\n"), client(kGet)},
       "error malformed\n"},
      {"origin speaks first, another protocol", {origin("220 hi\r\n")}, "error malformed\n"},
      {"more than was asked for",
       {client(kGet), origin(kOk + "x")},
       start + "1< 200\n1< 'hi'\n1complete\nerror malformed\n"},
      {"no status line", {client(kGet), origin("<html>\r\n\r\n")}, start + "error malformed\n"},
      {"bad status",
       {client(kGet), origin("HTTP/1.1 2000 OK\r\n\r\n")},
       start + "error malformed\n"},
      {"lengths that differ",
       {client(kGet), origin("HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n")},
       start + "error malformed\n"},
      {"a length that is none",
       {client("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n")},
       "error malformed\n"},
      {"NUL in a field",
       {client(std::string("GET / HTTP/1.1\r\nA: \0\r\n\r\n", 24))},
       "error malformed\n"},
  });
}

TEST_CASE("an idle connection that its origin gives up with a 408 nobody asked for") {
  const std::string timeout =
      "HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate";
  const std::string one = "1" + kGetSeen + "1>.\n1< 200\n1< 'hi'\n1complete\n";
  check({
      {"before the first request", {origin(timeout), kOriginFin, kClientFin}, ""},
      {"after an answer", {client(kGet), origin(kOk + timeout), kOriginFin}, one},
      {"a request crosses it",
       {client(kGet), origin(kOk), origin(timeout), client(kGet), kOriginFin},
       one + "2" + kGetSeen + "2>.\n2eof_early\n"},
  });
}

TEST_CASE("half a head is no exchange, and not nothing") {
  hm::test::H1Transcript seen;
  hm::http::H1Observer observer(seen);
  CHECK_FALSE(observer.mid_message());
  REQUIRE(observer.from_client(hm::as_bytes(kGet.substr(0, 7))));
  CHECK(observer.mid_message());
  REQUIRE(observer.from_client(hm::as_bytes(kGet.substr(7))));
  CHECK_FALSE(observer.mid_message());
  REQUIRE(observer.from_origin(hm::as_bytes(kOk)));
  CHECK_FALSE(observer.mid_message());
}

TEST_CASE("limits of the observer") {
  hm::http::H1Limits limits;
  limits.max_head = 100;
  limits.max_in_flight = 3;
  const std::string fits = "GET /" + std::string(80, 'a') + " HTTP/1.1\r\n\r\n";
  REQUIRE(fits.size() == 98);
  const std::string long_head = "HTTP/1.1 200 OK\r\nA: " + std::string(80, 'a') + "\r\n\r\n";
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  for (const auto& split : hm::test::standard_splits(200)) {
    INFO(split.name);
    CHECK(play({client(fits)}, split, limits) == "1> GET /" + std::string(80, 'a') + " @\n1>.\n");
    CHECK(play({client("X" + fits + "zz")}, split, limits).starts_with("1> XGET"));
    CHECK(play({client("XXX" + fits)}, split, limits) == "error too large\n");
    CHECK(play({client(std::string(101, 'a'))}, split, limits) == "error too large\n");
    CHECK(play({client(kGet), origin(long_head)}, split, limits) ==
          "1" + kGetSeen + "1>.\nerror too large\n");
    CHECK(play({client(kGet), origin(chunked + std::string(200, 'a'))}, split, limits) ==
          "1" + kGetSeen + "1>.\n1< 200\nerror too large\n");
    CHECK(play({client(kUpgrade + std::string(101, 'a'))}, split, limits) ==
          "1> GET /ws @h\n1>.\nerror too large\n");
    const std::string small = "GET / HTTP/1.1\r\n\r\n";
    CHECK(play({client(small + small + small)}, split, limits).ends_with("3>.\n"));
    CHECK(play({client(small + small + small + small)}, split, limits)
              .ends_with("error too large\n"));
    CHECK(play({client(small + small + small), origin(kOk), client(small)}, split, limits)
              .ends_with("4>.\n"));
  }
}

TEST_CASE("heads reach the listener in lower case and in order") {
  class Look final : public hm::http::ExchangeEvents {
   public:
    void on_request_head(hm::http::ExchangeId, const hm::http::RequestHead& head) override {
      CHECK(head.version == "1.1");
      REQUIRE(head.headers.size() == 3);
      CHECK(head.headers[0].name == "host");
      CHECK(head.headers[1].name == "x-a");
      CHECK(head.headers[1].value == "One  Two three");
      CHECK(head.header("x-a") == "One  Two three");
      CHECK(head.header("none").empty());
      ++seen;
    }
    void on_request_body(hm::http::ExchangeId, hm::Bytes) override {}
    void on_request_end(hm::http::ExchangeId) override {}
    void on_interim(hm::http::ExchangeId, int) override {}
    void on_response_head(hm::http::ExchangeId, const hm::http::ResponseHead& head) override {
      CHECK(head.version == "1.0");
      CHECK(head.header("server") == "x");
      ++seen;
    }
    void on_response_body(hm::http::ExchangeId, hm::Bytes) override {}
    void on_trailers(hm::http::ExchangeId, const std::vector<hm::http::Header>&) override {}
    void on_exchange_end(hm::http::ExchangeId, hm::http::EndKind) override {}
    void on_upgrade(hm::http::ExchangeId) override {}
    void on_upgraded_bytes(hm::http::ExchangeId, bool, hm::Bytes) override {}
    int seen = 0;
  } look;
  hm::http::H1Observer observer(look);
  REQUIRE(observer.from_client(
      hm::as_bytes("GET / HTTP/1.1\r\nHost: h\r\nX-A: One  Two\r\n   three\r\nx-a: four\r\n\r\n")));
  REQUIRE(observer.from_origin(hm::as_bytes("HTTP/1.0 200 OK\r\nServer: x\r\n\r\n")));
  CHECK(look.seen == 2);
}
