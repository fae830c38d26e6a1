// Single situations of HTTP/2, written frame by frame: what is told, and how it ends.
#include "interceptor/http/h2_observer.h"

#include <catch2/catch.hpp>

#include "common/base/counters.h"
#include "tests/support/h2_wire.h"
#include "tests/unit/http/h2_transcript.h"

namespace hm::test {
namespace {

using namespace h2;  // NOLINT: the words of the frames are the language of these tests
using Who = H2Line::Who;

H2Line client(std::string bytes) {
  return {Who::client, std::move(bytes)};
}
H2Line origin(std::string bytes) {
  return {Who::origin, std::move(bytes)};
}

const H2Line kHello = client(kPreface + settings());
const H2Line kAnswer = origin(settings() + frame(kSettings, kAck, 0, ""));
const H2Line kClientFin{Who::client_fin, ""};
const H2Line kClientRst{Who::client_rst, ""};
const H2Line kOriginFin{Who::origin_fin, ""};
const H2Line kOriginRst{Who::origin_rst, ""};

struct Case {
  std::string name;
  std::vector<H2Line> lines;  // behind the greetings
  std::string told;
};

const std::string kGet = "#1\n> GET / @api.example\n>.\n";
const std::string kPost = "#1\n> POST / @api.example\n";

std::vector<Case> ordinary() {
  return {
      {"one exchange",
       {client(request(1, kEndHeaders, {}, "POST", "/v1/x?y") + data(1, "question", kEndStream)),
        origin(response(1, kEndHeaders) + data(1, "ans") + data(1, "wer", kEndStream))},
       "#1\n> POST /v1/x?y @api.example\n> 'question'\n>.\n< 200\n< 'answer'\ncomplete\n"},
      {"empty DATA ends a stream",
       {client(request(1, kEndHeaders, {}, "POST") + data(1, "q") + data(1, "", kEndStream)),
        origin(response(1, kEndHeaders) + data(1, "a") + data(1, "", kEndStream))},
       kPost + "> 'q'\n>.\n< 200\n< 'a'\ncomplete\n"},
      {"padding everywhere",
       {client(frame(kHeaders, kEndHeaders | kPadded, 1, padded(block(request_fields("POST")), 9)) +
               data(1, padded("q", 255), kPadded) + data(1, padded("", 3), kPadded | kEndStream)),
        origin(frame(kHeaders, kEndHeaders | kPadded, 1, padded(block({{":status", "200"}}), 0)) +
               data(1, padded("a", 0), kPadded | kEndStream))},
       kPost + "> 'q'\n>.\n< 200\n< 'a'\ncomplete\n"},
      {"priority fields in HEADERS, PRIORITY frames",
       {client(frame(kPriority, kNone, 3, number(0x80000001, 4) + "\x10") +
               frame(kHeaders, kWholeHead | kHasPriority | kPadded, 1,
                     padded(number(0, 4) + "\xff" + block(request_fields()), 4))),
        origin(response(1, kWholeHead))},
       kGet + "< 200\ncomplete\n"},
      {"CONTINUATION, empty and cut inside a field",
       {client(frame(kHeaders, kEndStream, 1, block(request_fields()).substr(0, 7)) +
               frame(kContinuation, kNone, 1, "") +
               frame(kContinuation, kNone, 1, block(request_fields()).substr(7, 10)) +
               frame(kContinuation, kEndHeaders, 1, block(request_fields()).substr(17))),
        origin(frame(kHeaders, kEndStream, 1, "") +
               frame(kContinuation, kEndHeaders, 1, block({{":status", "204"}})))},
       kGet + "< 204\ncomplete\n"},
      {"interim answers and trailers",
       {client(request(1, kWholeHead)),
        origin(response(1, kEndHeaders, 100) + response(1, kEndHeaders, 103, {{"link", "x"}}) +
               response(1, kEndHeaders) + data(1, "a") +
               frame(kHeaders, kWholeHead, 1, block({{"grpc-status", "0"}, {"b", "2"}})))},
       kGet +
           "< interim 100\n< interim 103\n< 200\n< 'a'\n< trailers grpc-status=0 b=2\ncomplete\n"},
      {"trailers of a request are not told",
       {client(request(1, kEndHeaders, {}, "POST") + data(1, "q") +
               frame(kHeaders, kWholeHead, 1, block({{"digest", "x"}}))),
        origin(response(1, kWholeHead))},
       kPost + "> 'q'\n>.\n< 200\ncomplete\n"},
      {"interleaved streams",
       {client(request(1, kEndHeaders, {}, "POST") + request(3, kWholeHead) + data(1, "q1") +
               request(5, kWholeHead) + data(1, "q2", kEndStream)),
        origin(response(5, kEndHeaders) + response(1, kEndHeaders) + data(5, "five") +
               data(1, "one", kEndStream) + data(5, "!", kEndStream) + response(3, kWholeHead))},
       kPost + "> 'q1q2'\n>.\n< 200\n< 'one'\ncomplete\n" +
           "#2\n> GET / @api.example\n>.\n< 200\ncomplete\n" +
           "#3\n> GET / @api.example\n>.\n< 200\n< 'five!'\ncomplete\n"},
      {"frames that say nothing about exchanges",
       {client(frame(kPing, kNone, 0, "12345678") + frame(0xaa, 0xff, 7, std::string(70000, 'x')) +
               request(1, kWholeHead) + frame(kWindowUpdate, kNone, 1, number(7, 4))),
        origin(frame(kPing, kAck, 0, "12345678") + frame(0x0a, kNone, 0, "altsvc") +
               response(1, kEndHeaders) + frame(kWindowUpdate, kNone, 0, number(7, 4)) +
               frame(0x10, kNone, 0, "") + data(1, "a", kEndStream))},
       kGet + "< 200\n< 'a'\ncomplete\n"},
      {"a DATA frame of a megabyte, a settings frame of many",
       {client(request(1, kWholeHead)),
        origin(settings({{3, 100}, {1, 65536}, {5, 16777215}, {4, 1}}) + response(1, kEndHeaders) +
               data(1, std::string(1000000, 'z'), kEndStream))},
       kGet + "< 200\n< '" + std::string(1000000, 'z') + "'\ncomplete\n"},
      {"a pushed stream is read past, its heads decompressed",
       {client(request(1, kWholeHead)),
        origin(frame(kPushPromise, kEndHeaders | kPadded, 1,
                     padded(number(2, 4) + block(request_fields("GET", "/pushed")), 2)) +
               response(2, kEndHeaders) + response(1, kEndHeaders) + data(2, "p", kEndStream) +
               data(1, "a", kEndStream)),
        client(rst(2))},
       kGet + "< 200\n< 'a'\ncomplete\n"},
      {"host stands in for :authority",
       {client(frame(kHeaders, kWholeHead, 1,
                     block({{":method", "GET"}, {":path", "/p"}, {"host", "h.example"}}))),
        origin(response(1, kWholeHead))},
       "#1\n> GET /p @h.example\n>.\n< 200\ncomplete\n"},
  };
}

std::vector<Case> endings() {
  const H2Line get = client(request(1, kWholeHead));
  const H2Line half =
      origin(response(1, kEndHeaders, 200, {{"content-length", "5"}}) + data(1, "abc"));
  const std::string told = kGet + "< 200\n< 'abc'\n";
  return {
      {"short of content-length",
       {get, half, origin(data(1, "", kEndStream))},
       told + "eof_early\n"},
      {"beyond content-length",
       {get, half, origin(data(1, "def", kEndStream))},
       kGet + "< 200\n< 'abcdef'\neof_early\n"},
      {"as long as content-length",
       {get, half, origin(data(1, "de", kEndStream))},
       kGet + "< 200\n< 'abcde'\ncomplete\n"},
      {"HEAD has a length and no body",
       {client(request(1, kWholeHead, {}, "HEAD")),
        origin(response(1, kWholeHead, 200, {{"content-length", "99"}}))},
       "#1\n> HEAD / @api.example\n>.\n< 200\ncomplete\n"},
      {"304 has a length and no body",
       {get, origin(response(1, kWholeHead, 304, {{"content-length", "99"}}))},
       kGet + "< 304\ncomplete\n"},
      {"a content-length that is none",
       {get, origin(response(1, kWholeHead, 200, {{"content-length", "5x"}}))},
       kGet + "< 200\ncomplete\n"},
      {"reset by the origin", {get, half, origin(rst(1))}, told + "reset\n"},
      {"reset by the client",
       {get, half, client(rst(1)), origin(data(1, "de", kEndStream))},
       told + "client_abort\n"},
      {"refused before an answer", {get, origin(rst(1, 7))}, kGet + "reset\n"},
      {"answered before the upload was whole",
       {client(request(1, kEndHeaders, {}, "POST") + data(1, "q")),
        origin(response(1, kWholeHead, 413) + rst(1, 0)), client(data(1, "more", kEndStream))},
       kPost + "> 'q'\n< 413\ncomplete\n"},
      {"GOAWAY spares what was processed",
       {client(request(1, kWholeHead) + request(3, kWholeHead) + request(5, kWholeHead)),
        origin(goaway(0x7fffffff) + goaway(3, 0, "bye")), client(request(7, kWholeHead)),
        origin(response(1, kWholeHead) + response(3, kWholeHead)), kOriginFin},
       kGet + "< 200\ncomplete\n#2\n> GET / @api.example\n>.\n< 200\ncomplete\n" +
           "#3\n> GET / @api.example\n>.\nreset\n"},
      {"GOAWAY of the client ends nothing",
       {get, client(goaway(0)), origin(response(1, kWholeHead))},
       kGet + "< 200\ncomplete\n"},
      {"the origin closes", {get, half, kOriginFin, kClientFin}, told + "eof_early\n"},
      {"the origin breaks", {get, half, kOriginRst}, told + "reset\n"},
      {"the client closes first", {get, half, kClientFin, kOriginFin}, told + "client_abort\n"},
      {"the client breaks", {get, half, kClientRst, kOriginRst}, told + "client_abort\n"},
      {"the client half-closes and is answered",
       {get, kClientFin, half, origin(data(1, "de", kEndStream)), kOriginFin},
       kGet + "< 200\n< 'abcde'\ncomplete\n"},
      {"END_STREAM without a final head",
       {get, origin(response(1, kWholeHead, 103))},
       kGet + "< interim 103\neof_early\n"},
      {"no status",
       {get, origin(frame(kHeaders, kEndHeaders, 1, block({{"a", "b"}})))},
       kGet + "eof_early\n"},
      {"101 is not for HTTP/2", {get, origin(response(1, kEndHeaders, 101))}, kGet + "eof_early\n"},
      {"a stream reset between its header frames",
       {get, origin(frame(kHeaders, kNone, 1, block({{":status", "200"}}))), client(rst(1)),
        origin(frame(kContinuation, kEndHeaders, 1, ""))},
       kGet + "client_abort\n"},
  };
}

std::vector<Case> upgrades() {
  Fields fields = request_fields("CONNECT", "/v1/realtime");
  fields.insert(fields.begin() + 1, {":protocol", "websocket"});
  const std::string ask = frame(kHeaders, kEndHeaders, 1, block(fields));
  const std::string told = "#1\n> CONNECT /v1/realtime @api.example\n>.\n";
  return {
      {"extended CONNECT",
       {client(ask), origin(settings({{8, 1}}) + response(1, kEndHeaders)),
        client(data(1, "frame1") + data(1, padded("+2", 5), kPadded)), origin(data(1, "frame3")),
        client(data(1, "4")), origin(data(1, "5", kEndStream)), client(data(1, "", kEndStream))},
       told + "< 200\nupgrade\nraw> 'frame1+2'\nraw< 'frame3'\nraw> '4'\nraw< '5'\ncomplete\n"},
      {"the client ends its half first",
       {client(ask), origin(response(1, kEndHeaders)), client(data(1, "4", kEndStream)),
        origin(data(1, "5", kEndStream))},
       told + "< 200\nupgrade\nraw> '4'\nraw< '5'\nclient_abort\n"},
      {"bytes before the answer are held",
       {client(ask + data(1, "eager")), origin(response(1, kEndHeaders)), client(data(1, "!")),
        client(rst(1))},
       told + "< 200\nupgrade\nraw> 'eager!'\nclient_abort\n"},
      {"refused",
       {client(ask + data(1, "eager")),
        origin(response(1, kEndHeaders, 426) + data(1, "no", kEndStream)), client(data(1, "x"))},
       told + "< 426\n< 'no'\ncomplete\n"},
      {"the origin closes the connection",
       {client(ask), origin(response(1, kEndHeaders)), kOriginFin},
       told + "< 200\nupgrade\ncomplete\n"},
      {"the origin breaks it",
       {client(ask), origin(response(1, kEndHeaders)), kOriginRst},
       told + "< 200\nupgrade\nreset\n"},
      {"plain CONNECT has an authority only",
       {client(frame(kHeaders, kEndHeaders, 1,
                     block({{":method", "CONNECT"}, {":authority", "h:443"}}))),
        origin(response(1, kEndHeaders)), client(data(1, "x"))},
       "#1\n> CONNECT h:443 @h:443\n>.\n< 200\nupgrade\nraw> 'x'\n"},
  };
}

void check_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    std::vector<H2Line> lines{kHello, kAnswer};
    lines.insert(lines.end(), one.lines.begin(), one.lines.end());
    size_t longest = 0;
    for (const H2Line& line : lines) longest = std::max(longest, line.bytes.size());
    for (const Split& split : standard_splits(longest)) {
      if (longest > 500000 && split.name == "bytes") continue;
      CAPTURE(one.name, split.name);
      const bool same = play(lines, split).text() == one.told;
      if (!same) UNSCOPED_INFO(play(lines, split).text().substr(0, 2000));
      REQUIRE(same);
    }
  }
}

TEST_CASE("HTTP/2 exchanges") {
  check_all(ordinary());
}

TEST_CASE("how HTTP/2 exchanges end") {
  check_all(endings());
}

TEST_CASE("CONNECT over HTTP/2") {
  check_all(upgrades());
}

TEST_CASE("the protocol of an extended CONNECT is told") {
  Fields fields = request_fields("CONNECT", "/w");
  fields.insert(fields.begin(), {":protocol", "websocket"});
  const auto told = play({kHello, client(frame(kHeaders, kEndHeaders, 1, block(fields)))},
                         {"whole", {1000}}, {}, true);
  CHECK(told.text() == "#1\n> CONNECT /w @api.example\n  :protocol: websocket\n>.\n");
}

TEST_CASE("what breaks an HTTP/2 connection") {
  const std::string get = request(1, kWholeHead);
  const auto [name, lines] = GENERATE_COPY(table<std::string, std::vector<H2Line>>({
      {"no preface", {client("GET / HTTP/1.1\r\n\r\n")}},
      {"no SETTINGS first", {client(kPreface + frame(kPing, kNone, 0, "12345678"))}},
      {"an origin that begins with an ACK", {origin(frame(kSettings, kAck, 0, ""))}},
      {"an origin of another protocol", {origin("HTTP/1.1 400 Bad Request\r\n\r\n")}},
      {"CONTINUATION without a head", {kHello, client(frame(kContinuation, kEndHeaders, 1, ""))}},
      {"a frame inside of a header block",
       {kHello, client(frame(kHeaders, kNone, 1, "") + frame(kPing, kNone, 0, "12345678"))}},
      {"CONTINUATION of another stream",
       {kHello, client(frame(kHeaders, kNone, 1, "") + frame(kContinuation, kEndHeaders, 3, ""))}},
      {"padding longer than its frame",
       {kHello, client(get + data(1,
                                  "\x05"
                                  "abc",
                                  kPadded))}},
      {"a padded frame without its length", {kHello, client(get + data(1, "", kPadded))}},
      {"HEADERS too short for their priority",
       {kHello, client(frame(kHeaders, kWholeHead | kHasPriority, 1, "abc"))}},
      {"DATA on stream 0", {kHello, client(data(0, "x"))}},
      {"SETTINGS on a stream", {kHello, client(frame(kSettings, kNone, 1, ""))}},
      {"SETTINGS of odd length", {kHello, client(frame(kSettings, kNone, 0, "12345"))}},
      {"RST_STREAM of odd length", {kHello, client(get + frame(kRstStream, kNone, 1, "123"))}},
      {"GOAWAY too short", {kHello, kAnswer, origin(frame(kGoaway, kNone, 0, "1234"))}},
      {"a push by the client", {kHello, client(frame(kPushPromise, kEndHeaders, 1, "1234"))}},
      {"a push of an odd stream",
       {kHello, kAnswer, client(get), origin(frame(kPushPromise, kEndHeaders, 1, number(3, 4)))}},
      {"a request on an even stream", {kHello, client(request(2, kWholeHead))}},
      {"an answer to no request", {kHello, kAnswer, origin(response(1, kWholeHead))}},
      {"DATA for a stream never opened", {kHello, kAnswer, client(data(1, "x"))}},
      {"a block that is no HPACK",
       {kHello, client(frame(kHeaders, kWholeHead, 1, "\xff\xff\xff\xff\xff\xff"))}},
      {"a block that ends inside a field",
       {kHello, client(frame(kHeaders, kWholeHead, 1, block(request_fields()).substr(0, 20)))}},
      {"a table larger than announced",
       {kHello, kAnswer, client(frame(kHeaders, kWholeHead, 1, "\x3f\xff\xff\x0f"))}},
  }));
  std::vector<H2Line> all = lines;
  all.push_back(client(kPreface + settings() + request(9, kWholeHead)));
  all.push_back(origin(settings()));
  for (const Split& split : standard_splits(40)) {
    CAPTURE(name, split.name);
    const auto told = play(all, split);
    CHECK(told.error == "error malformed\n");
    CHECK(told.text().find("#2") == std::string::npos);
  }
}

TEST_CASE("a head above the limit detaches, an unwanted one does not") {
  http::H2Limits limits;
  limits.max_head = 1000;
  const Fields large{{"x", std::string(900, 'v')}};
  const Split whole{"whole", {100000}};
  CHECK(play({kHello, client(request(1, kWholeHead, large))}, whole, limits).error ==
        "error too large\n");
  // Late for a stream that has ended: read past, however long.
  CHECK(play({kHello, kAnswer, client(request(1, kWholeHead) + rst(1)),
              origin(response(1, kWholeHead, 200, large))},
             whole, limits)
            .error.empty());
  // Many small fields cost us more than their bytes.
  CHECK(
      play({kHello, client(request(1, kWholeHead, Fields(40, {"a", "b"})))}, whole, limits).error ==
      "error too large\n");
  // A client that floods a CONNECT which nobody has answered.
  CHECK(play({kHello, client(frame(kHeaders, kEndHeaders, 1,
                                   block({{":method", "CONNECT"}, {":authority", "h:443"}})) +
                             data(1, std::string(1001, 'x')))},
             whole, limits)
            .error == "error too large\n");
}

TEST_CASE("streams beyond the limit are read past and counted") {
  http::H2Limits limits;
  limits.max_streams = 2;
  const auto before = counters::get("h2.streams_ignored").value();
  const auto told = play(
      {kHello, kAnswer,
       client(request(1, kWholeHead) + request(3, kWholeHead) +
              request(5, kEndHeaders, {}, "POST") + data(5, "x", kEndStream)),
       origin(response(5, kEndHeaders) + data(5, "no", kEndStream) + response(1, kWholeHead)),
       client(request(7, kWholeHead)), origin(response(7, kWholeHead) + response(3, kWholeHead))},
      {"whole", {100000}}, limits);
  CHECK(told.exchanges.size() == 3);
  CHECK(told.error.empty());
  for (const auto& [id, text] : told.exchanges) CHECK(text.ends_with("< 200\ncomplete\n"));
  CHECK(counters::get("h2.streams_ignored").value() == before + 1);
}

TEST_CASE("a request without method or path is read past") {
  const auto told = play(
      {kHello, kAnswer,
       client(frame(kHeaders, kWholeHead, 1, block({{":method", "GET"}})) + request(3, kWholeHead)),
       origin(rst(1) + response(3, kWholeHead))},
      {"whole", {100000}});
  CHECK(told.text() == kGet + "< 200\ncomplete\n");
}

}  // namespace
}  // namespace hm::test
