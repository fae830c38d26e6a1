#include "interceptor/http/websocket.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/splits.h"
#include "tests/support/websocket_encode.h"

namespace hm::test {
namespace {

using http::WebSocketTerms;

struct Log final : http::WebSocketEvents {
  void on_message_begin(bool from_client) override { said += from_client ? "> '" : "< '"; }
  void on_message_data(bool, Bytes piece) override {
    REQUIRE(!piece.empty());
    largest = std::max(largest, piece.size());
    total += piece.size();
    if (keep) said += as_text(piece);
  }
  void on_message_end(bool, uint64_t wire_bytes) override {
    said += "' " + std::to_string(wire_bytes) + "\n";
  }
  void on_close(bool from_client, std::optional<uint16_t> code) override {
    said += from_client ? "> close " : "< close ";
    said += code ? std::to_string(*code) + "\n" : "none\n";
  }
  std::string said;
  bool keep = true;
  size_t largest = 0;
  uint64_t total = 0;
};

std::string read(const WebSocketTerms& terms, bool from_client, const std::string& wire,
                 const Split& split) {
  Log log;
  http::WebSocketReader reader(terms, log);
  std::optional<Error> error;
  feed_split(as_bytes(wire), split, [&](Bytes piece) {
    const auto fed = reader.feed(from_client, piece);
    if (error) CHECK(!fed);
    if (!fed) error = fed.error();
  });
  if (!error) return log.said;
  // What was told before an error may depend on the cut; that there is one may not.
  return "error " + std::string(name_of(error->code));
}

void check(const WebSocketTerms& terms, bool from_client, const std::string& wire,
           const std::string& expected) {
  for (const Split& split : standard_splits(wire.size(), 6)) {
    CAPTURE(split.name);
    CHECK(read(terms, from_client, wire, split) == expected);
  }
}

std::string masked(uint8_t opcode, std::string_view payload, bool fin = true) {
  return frame(opcode, payload, {fin, true, 0});
}

}  // namespace

TEST_CASE("websocket messages", "[websocket]") {
  const std::string text =
      "Gr\xC3\xBC\xC3\x9F"
      "e, \xF0\x9F\xA6\x86";
  const std::string size = std::to_string(text.size() + 2);
  check({}, false, frame(1, text), "< '" + text + "' " + size + "\n");
  check({}, true, masked(1, text), "> '" + text + "' " + std::to_string(text.size() + 6) + "\n");
  check({}, false, frame(2, "") + frame(1, "x"), "< '' 2\n< 'x' 3\n");
  // Lengths of each form.
  for (const size_t length : {125U, 126U, 127U, 65535U, 65536U, 70000U}) {
    const std::string long_text(length, 'a');
    const std::string wire = masked(1, long_text);
    check({}, true, wire, "> '" + long_text + "' " + std::to_string(wire.size()) + "\n");
  }
}

TEST_CASE("websocket fragments with control frames between", "[websocket]") {
  const std::string wire = frame(9, "early") + frame(1, "He", {false, false, 0}) + frame(9, "p") +
                           frame(0, "", {false, false, 0}) + frame(10, "") +
                           frame(0, "llo \xC3", {false, false, 0}) + frame(0, "\xA4") +
                           frame(1, "next");
  check({}, false, wire, "< 'Hello \xC3\xA4' 28\n< 'next' 6\n");
}

TEST_CASE("websocket close", "[websocket]") {
  const std::string normal("\x03\xe8", 2);
  check({}, true, masked(8, normal + "bye") + "rubbish behind it", "> close 1000\n");
  check({}, false, frame(8, ""), "< close none\n");
  check({}, false, frame(1, "x", {false, false, 0}) + frame(8, std::string("\x03\xf3", 2)),
        "< 'x< close 1011\n");
  check({}, false, frame(8, "x"), "error malformed");
}

TEST_CASE("websocket frames that break the rules", "[websocket]") {
  const WebSocketTerms deflate{.deflate = true};
  const std::string bomb_length = std::string("\x81\x7f\xff", 3) + std::string(7, '\0');
  struct Row {
    const char* name;
    bool from_client;
    std::string wire;
    bool deflate = false;
  };
  const std::vector<Row> rows = {
      {"unmasked client", true, frame(1, "x")},
      {"masked server", false, masked(1, "x")},
      {"rsv1 not agreed", false, frame(1, "x", {true, false, 4})},
      {"rsv2", false, frame(1, "x", {true, false, 2}), true},
      {"rsv3", false, frame(1, "x", {true, false, 1}), true},
      {"rsv1 on a continuation", false,
       frame(1, "x", {false, false, 0}) + frame(0, "x", {true, false, 4}), true},
      {"rsv1 on a ping", false, frame(9, "x", {true, false, 4}), true},
      {"opcode 3", false, frame(3, "x")},
      {"opcode 11", false, frame(11, "x")},
      {"continuation of nothing", false, frame(0, "x")},
      {"message within a message", false, frame(1, "x", {false, false, 0}) + frame(1, "x")},
      {"fragmented ping", false, frame(9, "x", {false, false, 0})},
      {"long ping", false, frame(9, std::string(126, 'x'))},
      {"length of 63 bits and more", false, bomb_length},
      {"no deflate stream", false, frame(1, "\xff\xff\xff\xff", {true, false, 4}), true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    check(row.deflate ? deflate : WebSocketTerms{}, row.from_client, row.wire + frame(1, "y"),
          "error malformed");
  }
}

TEST_CASE("permessage-deflate with and without context takeover", "[websocket]") {
  const std::vector<std::string> texts = {"{\"type\":\"response.created\"}",
                                          "{\"type\":\"response.created\"}", "",
                                          std::string(100000, 'z'), "\xC3\xA4\xC3\xB6"};
  for (const bool from_client : {true, false}) {
    for (const bool keeps : {true, false}) {
      for (const size_t fragments : {1U, 3U}) {
        CAPTURE(from_client, keeps, fragments);
        WebSocketTerms terms{.deflate = true};
        (from_client ? terms.client_keeps_context : terms.server_keeps_context) = keeps;
        MessageDeflate deflate(keeps);
        std::string wire;
        std::string expected;
        for (const std::string& text : texts) {
          const std::string frames =
              message_frames(deflate.message(text), from_client, true, fragments);
          wire += frames;
          expected +=
              (from_client ? "> '" : "< '") + text + "' " + std::to_string(frames.size()) + "\n";
        }
        // A message may also go uncompressed.
        const std::string plain = message_frames("plain", from_client, false, fragments);
        wire += plain;
        expected += std::string(from_client ? ">" : "<") + " 'plain' " +
                    std::to_string(plain.size()) + "\n";
        check(terms, from_client, wire, expected);
      }
    }
  }
}

TEST_CASE("permessage-deflate examples of RFC 7692", "[websocket]") {
  const WebSocketTerms terms{.deflate = true};
  const auto compressed = [](std::string_view payload) {
    return frame(1, payload, {true, false, 4});
  };
  const std::string hello("\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
  // 7.2.3.1, and 7.2.3.2 with the window kept.
  check(terms, false, compressed(hello) + compressed({"\xf2\x00\x11\x00\x00", 5}),
        "< 'Hello' 9\n< 'Hello' 7\n");
  // 7.2.3.3: a block without compression.
  check(terms, false, compressed({"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11}),
        "< 'Hello' 13\n");
  // 7.2.3.4: a last block, with and without the empty one behind it; the window is kept.
  check(
      terms, false,
      compressed({"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8}) + compressed({"\xf2\x00\x11\x00\x00", 5}),
      "< 'Hello' 10\n< 'Hello' 7\n");
  check(terms, false, compressed({"\xf3\x48\xcd\xc9\xc9\x07\x00", 7}) + compressed(hello),
        "< 'Hello' 9\n< 'Hello' 9\n");
  // 7.2.3.5: two blocks.
  check(terms, false, compressed({"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13}),
        "< 'Hello' 15\n");
}

TEST_CASE("huge messages are streamed, bombs are not", "[websocket]") {
  const std::string piece(1 << 20, 'q');
  Log log;
  log.keep = false;
  http::WebSocketReader reader({.deflate = true}, log);
  for (int i = 0; i < 100; ++i) {
    const std::string wire = frame(i == 0 ? 1 : 0, piece, {i == 99, true, 0});
    REQUIRE(reader.feed(true, as_bytes(wire)));
  }
  CHECK(log.total == uint64_t{100} << 20);
  CHECK(log.largest <= 64 * 1024);

  MessageDeflate deflate(true);
  const std::string bomb = frame(1, deflate.message(std::string(8 << 20, '\0')), {true, true, 4});
  const auto fed = reader.feed(true, as_bytes(bomb));
  REQUIRE(!fed);
  CHECK(fed.error().code == Code::too_large);
  CHECK(!reader.feed(false, as_bytes(frame(1, "x"))));  // it stays in error

  // Within the ratio, beyond the budget.
  Log small;
  http::WebSocketReader budget({.deflate = true}, small, {.max_inflated = 1000});
  MessageDeflate other(true);
  CHECK(budget.feed(false,
                    as_bytes(frame(1, other.message(std::string(1000, 'a')), {true, false, 4}))));
  CHECK(!budget.feed(false,
                     as_bytes(frame(1, other.message(std::string(1001, 'a')), {true, false, 4}))));
}

TEST_CASE("what the handshake agreed to", "[websocket]") {
  struct Row {
    std::vector<std::string> values;
    bool good = true;
    WebSocketTerms terms = {};
  };
  const std::vector<Row> rows = {
      {{}},
      {{""}},
      {{"permessage-deflate"}, true, {true, true, true}},
      {{"Permessage-Deflate ; server_no_context_takeover"}, true, {true, true, false}},
      {{"permessage-deflate; client_no_context_takeover; server_max_window_bits=12"},
       true,
       {true, false, true}},
      {{"permessage-deflate;client_max_window_bits=\"15\";server_no_context_takeover;"
        "client_no_context_takeover"},
       true,
       {true, false, false}},
      {{"permessage-deflate; frobnicate"}, false},
      {{"x-webkit-deflate-frame"}, false},
      {{"permessage-deflate", "permessage-bzip2"}, false},
      {{"permessage-deflate, permessage-deflate"}, false},
  };
  for (const Row& row : rows) {
    http::ResponseHead head{101, "1.1", {{"upgrade", "websocket"}}};
    for (const std::string& value : row.values) {
      head.headers.push_back({"sec-websocket-extensions", value});
    }
    CAPTURE(row.values);
    const auto terms = http::websocket_terms(head);
    REQUIRE(terms.has_value() == row.good);
    if (!terms) {
      CHECK(terms.error().code == Code::unsupported);
      continue;
    }
    CHECK(terms->deflate == row.terms.deflate);
    CHECK(terms->client_keeps_context == row.terms.client_keeps_context);
    CHECK(terms->server_keeps_context == row.terms.server_keeps_context);
  }
}

}  // namespace hm::test
