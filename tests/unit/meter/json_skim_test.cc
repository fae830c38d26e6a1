#include "interceptor/meter/json_skim.h"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <random>
#include <set>

#include "tests/support/splits.h"

namespace hm::test {
namespace {

using meter::JsonSkim;
using meter::SkimPath;
using meter::TopArray;

// What a scanner said, as lines.
struct Told final : meter::SkimEvents {
  void on_value(size_t path, std::string_view json) override {
    lines.push_back(std::to_string(path) + "=" + std::string(json));
  }
  void on_seen(size_t path) override { lines.push_back(std::to_string(path) + "?"); }
  void on_skipped(size_t path) override { lines.push_back(std::to_string(path) + "!"); }
  void on_document_end() override { lines.emplace_back("end"); }
  std::vector<std::string> lines;
};

std::vector<std::string> skim(std::span<const SkimPath> paths, std::string_view text,
                              const Split& split, TopArray top = TopArray::document) {
  Told told;
  JsonSkim scanner(paths, told, top);
  bool failed = false;
  feed_split(as_bytes(text), split, [&](Bytes piece) {
    if (!failed) failed = !scanner.feed(piece);
  });
  if (!failed) failed = !scanner.finish();
  if (failed) told.lines.emplace_back("error");
  return told.lines;
}

std::vector<std::string> skim_all_ways(std::span<const SkimPath> paths, std::string_view text,
                                       TopArray top = TopArray::document) {
  const auto splits = standard_splits(text.size(), 6);
  const auto whole = skim(paths, text, splits[0], top);
  for (const Split& split : splits) {
    CAPTURE(text, split.name);
    CHECK(skim(paths, text, split, top) == whole);
  }
  return whole;
}

using Lines = std::vector<std::string>;

constexpr SkimPath kPaths[] = {{"model"},           {"usage"},
                               {"response.usage"},  {"choices[].finish_reason"},
                               {"choices[]", true}, {"a.b.c"}};

// Writes random documents with hostile keys and strings, and any amount of blanks and escapes.
class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  std::string document() {
    out_.clear();
    object(0);
    return out_;
  }

 private:
  size_t pick(size_t count) { return std::uniform_int_distribution<size_t>(0, count - 1)(random_); }

  void blank() {
    constexpr std::string_view kBlanks[] = {"", "", "", " ", "\n", "\r\n\t", "  "};
    out_ += kBlanks[pick(std::size(kBlanks))];
  }

  void string(std::string_view text) {
    out_ += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (static_cast<uint8_t>(c) < 0x20 ||
                 (static_cast<uint8_t>(c) < 0x80 && pick(12) == 0)) {
        constexpr std::string_view kHex = "0123456789abcdef";
        out_ += "\\u00";
        out_ += kHex[static_cast<uint8_t>(c) >> 4U];
        out_ += kHex[static_cast<uint8_t>(c) & 15U];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  void value(int depth) {
    constexpr std::string_view kStrings[] = {
        "",
        "stop",
        "\"usage\": {\"input_tokens\": 1}",
        "}]}\\",
        "\\\\\"",
        "data: {\"model\": \"x\"}\n\n",
        "\xC3\xA9\xF0\x9F\x8C\x8A, }",
        "a longer text that takes several words of eight bytes, with \"quotes\" and \\ in it {[",
    };
    constexpr std::string_view kScalars[] = {"0", "-12.5e+3", "true", "false", "null", "123456789"};
    switch (depth > 5 ? pick(2) : pick(5)) {
      case 0:
        out_ += kScalars[pick(std::size(kScalars))];
        break;
      case 1:
        string(kStrings[pick(std::size(kStrings))]);
        break;
      case 2:
        array(depth);
        break;
      default:
        object(depth);
    }
  }

  void array(int depth) {
    out_ += '[';
    blank();
    const size_t count = pick(4);
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out_ += ',';
      blank();
      value(depth + 1);
      blank();
    }
    out_ += ']';
  }

  void object(int depth) {
    constexpr std::string_view kKeys[] = {
        "model", "usage", "response", "choices", "finish_reason", "a",
        "b",     "c",     "us",       "",        "usage\"",       "{"};
    out_ += '{';
    blank();
    std::set<std::string_view> used;
    const size_t count = pick(7);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view key = kKeys[pick(std::size(kKeys))];
      if (!used.insert(key).second) continue;
      if (used.size() > 1) out_ += ',';
      blank();
      string(key);
      blank();
      out_ += ':';
      blank();
      value(depth + 1);
      blank();
    }
    out_ += '}';
  }

  std::mt19937 random_;
  std::string out_;
};

std::string canonical(const rapidjson::Value& value) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
  value.Accept(writer);
  return buffer.GetString();
}

std::string canonical(const std::string& text) {
  rapidjson::Document document;
  document.Parse(text.c_str());
  REQUIRE_FALSE(document.HasParseError());
  return canonical(static_cast<const rapidjson::Value&>(document));
}

// The same extraction from a whole parse.
void walk(const rapidjson::Value& value, std::string_view path, std::vector<std::string>& found) {
  if (path.empty()) {
    found.push_back(canonical(value));
  } else if (path.starts_with("[]")) {
    if (!value.IsArray()) return;
    path.remove_prefix(2);
    if (path.starts_with('.')) path.remove_prefix(1);
    for (const auto& element : value.GetArray()) walk(element, path, found);
  } else {
    const size_t length = std::min(path.find_first_of(".["), path.size());
    const std::string key(path.substr(0, length));
    if (!value.IsObject() || !value.HasMember(key.c_str())) return;
    path.remove_prefix(length);
    if (path.starts_with('.')) path.remove_prefix(1);
    walk(value[key.c_str()], path, found);
  }
}

}  // namespace

TEST_CASE("skim cuts out values at their exact paths", "[json_skim]") {
  CHECK(skim_all_ways(kPaths, R"({"model":"m","usage":{"a":[1,2,{"b":"}"}]}})") ==
        Lines{R"(0="m")", R"(1={"a":[1,2,{"b":"}"}]})", "end"});
  CHECK(skim_all_ways(kPaths, R"( {"response" : {"x":[{}], "usage" : null} , "model":12 } )") ==
        Lines{"2=null", "0=12", "end"});
  CHECK(
      skim_all_ways(kPaths, R"({"choices":[{"finish_reason":"stop"},{},{"finish_reason":""}]})") ==
      Lines{"4?", R"(3="stop")", "4?", "4?", R"(3="")", "end"});
  CHECK(skim_all_ways(kPaths, R"({"choices":[]})") == Lines{"end"});
  CHECK(skim_all_ways(kPaths, R"({"a":{"b":{"c":-1.5e3},"c":2},"c":3})") ==
        Lines{"5=-1.5e3", "end"});
}

TEST_CASE("skim undoes escapes in keys", "[json_skim]") {
  CHECK(skim_all_ways(kPaths, R"({"\u0075sa\u0067e":1,"mod\u0065l":"\u0041","us\age":2})") ==
        Lines{"1=1", R"(0="\u0041")", "end"});
}

TEST_CASE("skim is not fooled by what looks like JSON inside strings", "[json_skim]") {
  CHECK(skim_all_ways(
            kPaths, R"({"x":"\"usage\":{\"a\":1}","y":["\\",{"usage":9}],"z":"\\\"model\":1"})") ==
        Lines{"end"});
}

TEST_CASE("skim reads several documents and lines", "[json_skim]") {
  CHECK(skim_all_ways(kPaths, "{\"model\":1}\n{\"model\":2}{\"model\":3}\n\n4 \"5\"") ==
        Lines{"0=1", "end", "0=2", "end", "0=3", "end", "end", "end"});
  CHECK(skim_all_ways(kPaths, "\xEF\xBB\xBF{\"model\":1}") == Lines{"0=1", "end"});
}

TEST_CASE("skim gives out the elements of a top-level array", "[json_skim]") {
  constexpr std::string_view kText = "[{\"model\":1}\n,\r\n{\"usage\":[[]]},[{\"model\":3}]]\n";
  CHECK(skim_all_ways(kPaths, kText, TopArray::elements) ==
        Lines{"0=1", "end", "1=[[]]", "end", "end"});
  CHECK(skim_all_ways(kPaths, kText) == Lines{"end"});
  CHECK(skim_all_ways(kPaths, "[]", TopArray::elements) == Lines{});
  CHECK(skim_all_ways(kPaths, "[{\"model\":1},{\"mo", TopArray::elements) ==
        Lines{"0=1", "end", "error"});
}

TEST_CASE("skim passes over values above the cap", "[json_skim]") {
  const std::string fits(JsonSkim::kMaxValue - 2, 'x');
  const std::string big(JsonSkim::kMaxValue - 1, 'x');
  CHECK(skim_all_ways(kPaths, R"({"model":")" + fits + R"(","usage":1})") ==
        Lines{"0=\"" + fits + "\"", "1=1", "end"});
  CHECK(skim_all_ways(kPaths, R"({"model":")" + big + R"(","usage":1})") ==
        Lines{"0!", "1=1", "end"});
  const std::string key(JsonSkim::kMaxKey + 1, 'k');
  CHECK(skim_all_ways(kPaths, "{\"" + key + "\":1,\"model\":2}") == Lines{"0=2", "end"});
}

TEST_CASE("skim bounds the depth", "[json_skim]") {
  for (const std::string open : {"[", "{\"model\":"}) {
    const std::string close = open == "[" ? "]" : "}";
    std::string fits;
    std::string tail;
    for (size_t i = 0; i < JsonSkim::kMaxDepth; ++i) {
      fits += open;
      tail += close;
    }
    const std::string middle = open == "[" ? "" : "1";
    CHECK(skim_all_ways(kPaths, fits + middle + tail).back() == "end");
    CHECK(skim_all_ways(kPaths, fits + open + middle + close + tail).back() == "error");
  }
}

TEST_CASE("skim refuses what is no JSON along the way", "[json_skim]") {
  for (const char* text : {"{",
                           "[1",
                           "{\"a\"",
                           "{\"a\":",
                           "{\"a\":1",
                           "{\"a\":1]",
                           "[1}",
                           "]",
                           "}",
                           "{,}",
                           "{1:2}",
                           "{\"a\" 1}",
                           "{\"a\":,}",
                           "{\"a\":1,}",

                           "\"abc",
                           "\"abc\\",
                           "<html>",
                           "{\"a\":{]}",
                           "{\"usage\":[}]}",
                           "data: {}",
                           "{\"a\":1 \"b\":2}"}) {
    CAPTURE(text);
    CHECK(skim_all_ways(kPaths, text).back() == "error");
  }
}

TEST_CASE("skim stays in error until it is reset", "[json_skim]") {
  Told told;
  JsonSkim scanner(kPaths, told);
  CHECK_FALSE(scanner.feed(as_bytes("]")));
  CHECK_FALSE(scanner.feed(as_bytes("{\"model\":1}")));
  CHECK_FALSE(scanner.finish());
  scanner.reset();
  CHECK(scanner.feed(as_bytes("{\"model\":1}")));
  CHECK(scanner.finish());
  CHECK(told.lines == Lines{"0=1", "end"});
}

TEST_CASE("skim finds what a whole parse finds", "[json_skim]") {
  for (uint32_t seed = 0; seed < 700; ++seed) {
    const std::string text = Generator(seed).document();
    CAPTURE(seed, text);
    rapidjson::Document document;
    document.Parse(text.c_str());
    REQUIRE_FALSE(document.HasParseError());
    const auto lines = skim_all_ways(kPaths, text);
    for (size_t path = 0; path < std::size(kPaths); ++path) {
      if (kPaths[path].seen_only) continue;
      std::vector<std::string> wanted;
      walk(document, kPaths[path].path, wanted);
      std::vector<std::string> found;
      const std::string prefix = std::to_string(path) + "=";
      for (const std::string& line : lines) {
        if (line.starts_with(prefix)) found.push_back(canonical(line.substr(prefix.size())));
      }
      CHECK(found == wanted);
    }
    CHECK(lines.back() == "end");
  }
}

}  // namespace hm::test
