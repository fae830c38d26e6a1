#include "interceptor/http/decoder.h"

#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "tests/support/splits.h"
#include "tests/unit/http/encode.h"

using hm::as_bytes;
using hm::as_text;
using hm::Bytes;
using hm::Code;
using hm::http::DecodedSink;
using hm::http::Decoder;
using hm::http::DecoderLimits;
using hm::test::Pieces;

namespace {

class Collect final : public DecodedSink {
 public:
  void on_decoded(Bytes bytes) override {
    CHECK_FALSE(bytes.empty());
    text += as_text(bytes);
  }
  std::string text;
};

struct Outcome {
  std::string text;
  bool ok = true;
  Code code = Code::internal;
  bool truncated = false;
};

Outcome decode(const std::string& coding, const std::string& input, const hm::test::Split& split,
               const DecoderLimits& limits = {}) {
  Collect sink;
  auto decoder = Decoder::create(coding, limits, sink);
  REQUIRE(decoder);
  Outcome outcome;
  hm::test::feed_split(as_bytes(input), split, [&](Bytes piece) {
    const auto result = (*decoder)->feed(piece);
    if (!outcome.ok) CHECK_FALSE(result);  // stays in error
    if (!result) {
      outcome.ok = false;
      outcome.code = result.error().code;
    }
  });
  CHECK((*decoder)->finish().has_value() == outcome.ok);
  CHECK((*decoder)->bytes_out() == sink.text.size());
  outcome.truncated = (*decoder)->truncated();
  outcome.text = sink.text;
  return outcome;
}

std::string prose(size_t size) {
  std::mt19937 engine(42);
  std::string text;
  while (text.size() < size) {
    text += "data: {\"delta\":\"" + std::to_string(engine() % 5000) + "\"}\n\n";
  }
  text.resize(size);
  return text;
}

struct Case {
  const char* what;
  std::string coding;
  std::string input;
  std::string expected;
};

std::vector<Case> good_cases() {
  using hm::test::brotli;
  using hm::test::deflate_pieces;
  using hm::test::gzip;
  using hm::test::joined;
  using hm::test::zstd;
  const std::string text = prose(5000);
  const std::string skippable("\x50\x2a\x4d\x18\x03\0\0\0abc", 11);
  return {
      {"identity", "", text, text},
      {"identity by name", "identity", text, text},
      {"gzip", "gzip", gzip(text), text},
      {"x-gzip, odd case", " X-GZip ", gzip(text), text},
      {"gzip members", "gzip", gzip(text) + gzip("") + gzip("more"), text + "more"},
      {"gzip, then padding", "gzip", gzip(text) + std::string(100, '\0'), text},
      {"gzip, then garbage", "gzip", gzip(text) + "garbage" + gzip("x"), text},
      {"deflate", "deflate", joined(deflate_pieces({text}, 15)), text},
      {"deflate with a small window", "deflate", joined(deflate_pieces({text}, 9)), text},
      {"bare deflate", "deflate", joined(deflate_pieces({text}, -15)), text},
      {"bare deflate of nothing", "deflate", joined(deflate_pieces({""}, -15)), ""},
      {"deflate, then garbage", "deflate", joined(deflate_pieces({text}, 15)) + "xx", text},
      {"br", "br", brotli(text), text},
      {"br, then garbage", "br", brotli(text) + "xx", text},
      {"zstd", "zstd", zstd(text), text},
      {"zstd frames", "zstd", zstd(text) + skippable + zstd("") + zstd("more"), text + "more"},
      {"zstd, then garbage", "zstd", zstd(text) + "garbage", text},
      {"gzip, br", "gzip, br", brotli(gzip(text)), text},
      {"four", "zstd,identity,br, deflate ,gzip",
       gzip(joined(deflate_pieces({brotli(zstd(text))}, 15))), text},
      {"empty gzip body", "gzip", "", ""},
      {"empty zstd body", "zstd", "", ""},
      {"large gzip", "gzip", gzip(prose(300000)), prose(300000)},
      {"large br", "br", brotli(prose(300000)), prose(300000)},
      {"large zstd", "zstd", zstd(prose(300000)), prose(300000)},
  };
}

}  // namespace

TEST_CASE("every coding is undone, wherever its bytes are cut") {
  for (const Case& test : good_cases()) {
    for (const auto& split : hm::test::standard_splits(test.input.size())) {
      INFO(test.what << ", " << split.name);
      const Outcome outcome = decode(test.coding, test.input, split);
      CHECK(outcome.ok);
      CHECK_FALSE(outcome.truncated);
      CHECK(outcome.text == test.expected);
    }
  }
}

TEST_CASE("what a server flushes comes out at once") {
  Pieces events;
  for (int i = 0; i < 50; ++i) events.push_back(prose(static_cast<size_t>(20 + i * 97)));
  const std::vector<std::pair<std::string, Pieces>> streams{
      {"gzip", hm::test::deflate_pieces(events, 31)},
      {"deflate", hm::test::deflate_pieces(events, 15)},
      {"deflate", hm::test::deflate_pieces(events, -15)},
      {"br", hm::test::brotli_pieces(events)},
      {"zstd", hm::test::zstd_pieces(events)},
  };
  for (const auto& [coding, pieces] : streams) {
    INFO(coding);
    Collect sink;
    auto decoder = Decoder::create(coding, {}, sink);
    REQUIRE(decoder);
    std::string expected;
    for (size_t i = 0; i < pieces.size(); ++i) {
      REQUIRE((*decoder)->feed(as_bytes(pieces[i])));
      expected += events[i];
      REQUIRE(sink.text == expected);
    }
    REQUIRE((*decoder)->finish());
    CHECK_FALSE((*decoder)->truncated());
  }
}

TEST_CASE("a cut stream keeps what came out and is no error") {
  const std::string text = prose(20000);
  for (const auto& [coding, whole] : std::vector<std::pair<std::string, std::string>>{
           {"gzip", hm::test::gzip(text)},
           {"deflate", hm::test::joined(hm::test::deflate_pieces({text}, 15))},
           {"br", hm::test::brotli(text)},
           {"zstd", hm::test::zstd(text)},
           {"gzip, zstd", hm::test::zstd(hm::test::gzip(text))}}) {
    for (const size_t size : {size_t{1}, size_t{2}, whole.size() / 2, whole.size() - 1}) {
      const std::string cut = whole.substr(0, size);
      for (const auto& split : hm::test::standard_splits(cut.size())) {
        INFO(coding << " cut at " << size << ", " << split.name);
        const Outcome outcome = decode(coding, cut, split);
        CHECK(outcome.ok);
        CHECK(outcome.truncated);
        CHECK(text.starts_with(outcome.text));
      }
    }
  }
}

TEST_CASE("garbage is malformed and stays so") {
  const std::string garbage = "this is not compressed at all, not in the least";
  std::string broken = hm::test::gzip(prose(5000));
  broken[broken.size() - 6] = static_cast<char>(broken[broken.size() - 6] ^ 0x55);  // its CRC
  for (const auto& [coding, input] :
       std::vector<std::pair<std::string, std::string>>{{"gzip", garbage},
                                                        {"deflate", "\xff\xff" + garbage},
                                                        {"br", "\xff\xff" + garbage},
                                                        {"zstd", garbage},
                                                        {"gzip", broken}}) {
    for (const auto& split : hm::test::standard_splits(input.size())) {
      INFO(coding << ", " << split.name);
      const Outcome outcome = decode(coding, input, split);
      CHECK_FALSE(outcome.ok);
      CHECK(outcome.code == Code::malformed);
    }
  }
}

TEST_CASE("bombs end at their ratio, large bodies at the budget") {
  const std::string zeros(40 << 20, '\0');
  const std::string large = prose(3 << 20);
  DecoderLimits small;
  small.max_output = 1 << 20;
  for (const auto& [coding, bomb, body] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"", "", large},
           {"gzip", hm::test::gzip(zeros), hm::test::gzip(large)},
           {"br", hm::test::brotli(zeros), hm::test::brotli(large)},
           {"zstd", hm::test::zstd(zeros), hm::test::zstd(large)},
           {"gzip, gzip", hm::test::gzip(hm::test::gzip(zeros)),
            hm::test::gzip(hm::test::gzip(large))},
       }) {
    for (const size_t size : {size_t{1000}, size_t{100000}, size_t{1} << 30}) {
      INFO(coding << " in " << size);
      const hm::test::Split split{"", {size}};
      if (!bomb.empty()) {
        const Outcome outcome = decode(coding, bomb, split);
        CHECK_FALSE(outcome.ok);
        CHECK(outcome.code == Code::too_large);
        CHECK(outcome.text.size() < (33U << 20));
      }
      const Outcome outcome = decode(coding, body, split, small);
      CHECK_FALSE(outcome.ok);
      CHECK(outcome.code == Code::too_large);
      CHECK(outcome.text == large.substr(0, 1 << 20));
    }
  }
}

TEST_CASE("a zstd window above the limit is refused") {
  const std::string text = prose(100000);
  const auto whole = hm::test::standard_splits(1000);
  // Flushed first, so that the frame cannot know its size and keeps the window it was told.
  const std::string wide = hm::test::joined(hm::test::zstd_pieces({text, text}, 25));
  const std::string fits = hm::test::joined(hm::test::zstd_pieces({text, text}, 24));
  for (const auto& split : whole) {
    const Outcome refused = decode("zstd", wide, split);
    CHECK_FALSE(refused.ok);
    CHECK(refused.code == Code::too_large);
    CHECK(refused.text.empty());
    CHECK(decode("zstd", fits, split).text == text + text);
  }
}

TEST_CASE("unknown codings and long lists are unsupported") {
  Collect sink;
  for (const char* coding :
       {"compress", "gzip, foo", "aws-chunked", "gzip;q=1", "dcb", "gzip,gzip,gzip,gzip,gzip"}) {
    INFO(coding);
    const auto decoder = Decoder::create(coding, {}, sink);
    REQUIRE_FALSE(decoder);
    CHECK(decoder.error().code == Code::unsupported);
  }
  const auto identity = Decoder::create(" , identity,", {}, sink);
  REQUIRE(identity);
  CHECK((*identity)->is_identity());
}
