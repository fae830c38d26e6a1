#include "interceptor/http/sse.h"

#include <catch2/catch.hpp>
#include <string>

#include "tests/support/splits.h"

using hm::as_bytes;
using hm::as_text;
using hm::Bytes;
using hm::http::SseEvents;
using hm::http::SseParser;

namespace {

// "name|id|data;" per event, with pieces joined.
class Transcript final : public SseEvents {
 public:
  void on_event_name(std::string_view name) override { early_ = name; }
  void on_data(Bytes piece) override {
    CHECK_FALSE(piece.empty());
    data_ += as_text(piece);
  }
  void on_event_end(std::string_view name, std::string_view id) override {
    if (!name.empty()) CHECK(early_ == name);
    text += std::string(name) + "|" + std::string(id) + "|" + data_ + ";";
    data_.clear();
    early_.clear();
  }
  std::string text;

 private:
  std::string early_;
  std::string data_;
};

struct Case {
  const char* what;
  std::string input;
  std::string expected;
};

const std::vector<Case>& cases() {
  using namespace std::string_literals;
  static const std::vector<Case> kCases{
      {"nothing", "", ""},
      {"one event", "data: hello\n\n", "||hello;"},
      {"name and data", "event: message_start\ndata: {\"a\":1}\n\n", "message_start||{\"a\":1};"},
      {"name behind the data", "data: x\nevent: late\n\n", "late||x;"},
      {"the last name counts", "event: a\nevent: b\ndata: x\n\n", "b||x;"},
      {"names do not carry over", "event: a\ndata: 1\n\ndata: 2\n\n", "a||1;||2;"},
      {"a name without data is forgotten", "event: ping\n\ndata: 1\n\n", "||1;"},
      {"ids carry over", "id: 7\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n", "|7|1;|7|2;||3;"},
      {"an id with NUL is ignored", "id: 1\nid: 2\0\ndata: x\n\n"s, "|1|x;"},
      {"several data lines", "data: {\ndata: \"a\":1\ndata: }\n\n", "||{\n\"a\":1\n};"},
      {"empty data lines", "data:\ndata\ndata: \n\n", "||\n\n;"},
      {"one empty data line", "data\n\n", "||;"},
      {"one space only", "data:  two\n\ndata:none\n\n", "|| two;||none;"},
      {"a tab is no space", "data:\tx\n\n", "||\tx;"},
      {"CRLF", "event: e\r\ndata: x\r\ndata: y\r\n\r\n", "e||x\ny;"},
      {"CR", "event: e\rdata: x\rdata: y\r\rdata: z\r\r", "e||x\ny;||z;"},
      {"mixed", "data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\n\ndata: e\n\r", "||a\nb\nc;||d;||e;"},
      {"other line separators are content",
       "data: a\xE2\x80\xA8"
       "b\xC2\x85"
       "c\vd\n\n",
       "||a\xE2\x80\xA8"
       "b\xC2\x85"
       "c\vd;"},
      {"byte order mark",
       "\xEF\xBB\xBF"
       "data: x\n\n",
       "||x;"},
      {"half a byte order mark",
       "\xEF\xBB"
       "data: x\ndata: y\n\n",
       "||y;"},
      {"byte order mark later",
       "data: x\n\n\xEF\xBB\xBF"
       "data: y\n\n",
       "||x;"},
      {"comments", ": ping\n\n:\n: OPENROUTER PROCESSING\ndata: x\n:c\n\n", "||x;"},
      {"unknown fields", "retry: 100\nfoo: bar\ndatax: 1\ndat: 2\nDATA: 3\ndata: x\n\n", "||x;"},
      {"blank before the colon", "data : x\n\n", ""},
      {"colons in the value", "data: a:b: c\n\n", "||a:b: c;"},
      {"flush without the blank line", "event: e\ndata: x\n", "e||x;"},
      {"flush without the line end", "data: 1\n\nevent: e\ndata: {\"a\"", "||1;e||{\"a\";"},
      {"flush in a name", "data: x\nevent: la", "la||x;"},
      {"done", "data: 1\n\ndata: [DONE]\n\n", "||1;||[DONE];"},
      {"many blank lines", "\n\n\ndata: 1\n\n\n\n", "||1;"},
      {"plain JSON", "{\"error\":{\"code\":429}}\n", "||{\"error\":{\"code\":429}};"},
      {"plain JSON at the end", "data: 1\n\n{\"error\":1}", "||1;||{\"error\":1};"},
      {"plain JSON is an event of its own", "data: 1\n{\"e\":1}\ndata: 2\n\n",
       "||1;||{\"e\":1};||2;"},
      {"plain JSON over lines",
       "[{\r\n  \"error\": {\r\n    \"message\": \"data: }\\\"]\",\r\n  }\r\n}\r\n]\r\ndata: "
       "x\r\n\r\n",
       "||[{\n  \"error\": {\n    \"message\": \"data: }\\\"]\",\n  }\n}\n];||x;"},
      {"plain JSON that never closes", "{\"a\": [\n\ndata: x\n\n", "||{\"a\": [;||x;"},
      {"plain JSON with a stray quote", "{\"a\n}\ndata: x\n\n", "||{\"a\n};||x;"},
      {"named plain JSON", "event: error\n{\"e\":1}\n\ndata: x\n\n", "error||{\"e\":1};||x;"},
      {"long names are cut",
       "event: " + std::string(300, 'n') + "\nid: " + std::string(300, 'i') + "\ndata: x\n\n",
       std::string(256, 'n') + "|" + std::string(256, 'i') + "|x;"},
  };
  return kCases;
}

}  // namespace

TEST_CASE("event streams are read the same wherever they are cut") {
  for (const Case& test : cases()) {
    for (const auto& split : hm::test::standard_splits(test.input.size())) {
      INFO(test.what << ", " << split.name);
      Transcript transcript;
      SseParser parser(transcript);
      hm::test::feed_split(as_bytes(test.input), split,
                           [&](Bytes piece) { REQUIRE(parser.feed(piece)); });
      REQUIRE(parser.finish());
      CHECK(transcript.text == test.expected);
    }
  }
}

TEST_CASE("an event is told when its blank line comes, not later") {
  Transcript transcript;
  SseParser parser(transcript);
  REQUIRE(parser.feed(as_bytes("data: 1\r\n\r")));
  CHECK(transcript.text == "||1;");
  REQUIRE(parser.feed(as_bytes("\ndata: 2\n\n")));
  CHECK(transcript.text == "||1;||2;");
}

TEST_CASE("data is passed on before its line ends") {
  class Count final : public SseEvents {
   public:
    void on_event_name(std::string_view) override {}
    void on_data(Bytes piece) override { bytes += piece.size(); }
    void on_event_end(std::string_view, std::string_view) override { ++events; }
    size_t bytes = 0;
    int events = 0;
  } count;
  SseParser parser(count);
  REQUIRE(parser.feed(as_bytes("data: ")));
  const std::string block(1 << 20, 'x');
  for (int i = 0; i < 32; ++i) REQUIRE(parser.feed(as_bytes(block)));
  CHECK(count.bytes == 32U << 20);
  CHECK(count.events == 0);
  REQUIRE(parser.finish());
  CHECK(count.events == 1);
}
