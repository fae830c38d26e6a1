// The golden exchanges again, as streams of HTTP/2 connections: all those of one host at once,
// their frames mixed, through H2Observer and ConnectionMeter.
#include <rapidjson/document.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "interceptor/http/h2_observer.h"
#include "tests/support/h2_wire.h"
#include "tests/unit/meter/support.h"

namespace hm::test {
namespace {

namespace fs = std::filesystem;

struct Golden {
  std::string host;
  h2::Fields request;
  h2::Fields response;
  std::string request_body;
  std::string response_body;
  std::string end;
  std::vector<std::string> expected;
};

std::string read_first(const fs::path& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::ifstream in(folder / name, std::ios::binary);
    if (in) return {std::istreambuf_iterator<char>(in), {}};
  }
  return {};
}

void add_headers(const rapidjson::Document& meta, const char* key, h2::Fields& fields) {
  if (!meta.HasMember(key)) return;
  for (const auto& member : meta[key].GetObject()) {
    std::string name = member.name.GetString();
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    // The bodies go out as they are before compression.
    if (name != "content-encoding" && name != "host") {
      fields.emplace_back(name, member.value.GetString());
    }
  }
}

std::string line(std::string_view provider, std::string_view model, std::string_view endpoint,
                 std::initializer_list<int64_t> figures, bool complete, std::string_view error) {
  std::string text(provider);
  text.append(" ").append(model).append(" ").append(endpoint);
  for (const int64_t figure : figures) text += " " + std::to_string(figure);
  return text + (complete ? " complete " : " incomplete ") + std::string(error);
}

std::string line_of(const CallRecord& record) {
  const Usage& usage = record.usage;
  return line(record.provider, record.model, record.endpoint,
              {usage.input_tokens, usage.cache_read_tokens, usage.cache_write_5m_tokens,
               usage.cache_write_1h_tokens, usage.output_tokens, usage.thinking_tokens},
              record.tokens_complete, record.error_kind);
}

std::string line_of(const rapidjson::Value& expected) {
  const std::string_view provider = expected["provider"].GetString();
  const auto figure = [&expected](const char* name) { return expected[name].GetInt64(); };
  const auto& error = expected["error_class"];
  return line(provider == "google" ? "gemini" : provider, expected["model"].GetString(),
              expected["endpoint"].GetString(),
              {figure("input_tokens"), figure("cache_read_tokens"), figure("cache_write_5m_tokens"),
               figure("cache_write_1h_tokens"), figure("output_tokens"), figure("thinking_tokens")},
              expected["tokens_complete"].GetBool(), error.IsNull() ? "" : error.GetString());
}

// By host; WebSocket cases are another protocol's.
std::map<std::string, std::vector<Golden>> load() {
  std::map<std::string, std::vector<Golden>> hosts;
  for (const auto& entry : fs::directory_iterator(fs::path(HM_SOURCE_DIR) / "tests/golden")) {
    if (!entry.is_directory()) continue;
    const fs::path& folder = entry.path();
    rapidjson::Document meta;
    rapidjson::Document expected;
    meta.Parse(read_first(folder, {"meta.json"}).c_str());
    expected.Parse(read_first(folder, {"expected.json"}).c_str());
    if (meta.HasMember("transport")) continue;
    Golden golden;
    golden.host = meta["host"].GetString();
    golden.request = {{":method", meta["method"].GetString()},
                      {":scheme", "https"},
                      {":authority", golden.host},
                      {":path", meta["path"].GetString()}};
    add_headers(meta, "request_headers", golden.request);
    golden.response = {{":status", std::to_string(meta["http_status"].GetInt())},
                       {"content-type", meta["content_type"].GetString()}};
    add_headers(meta, "response_headers", golden.response);
    golden.request_body = read_first(folder, {"request.json", "request.txt"});
    golden.response_body = read_first(folder, {"response.json", "response.sse", "response.txt"});
    golden.end = meta["end"].GetString();
    if (expected.IsArray()) {
      for (const auto& one : expected.GetArray()) golden.expected.push_back(line_of(one));
    } else {
      golden.expected.push_back(line_of(expected));
    }
    hosts[golden.host].push_back(std::move(golden));
  }
  return hosts;
}

// One direction of all streams: each one's frames in order, the streams mixed.
std::string mix(std::vector<std::vector<std::string>> streams, std::mt19937& random) {
  std::string all;
  while (!streams.empty()) {
    const size_t at = random() % streams.size();
    all += streams[at].front();
    streams[at].erase(streams[at].begin());
    if (streams[at].empty()) streams.erase(streams.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return all;
}

void add_data(std::vector<std::string>& frames, uint32_t stream, std::string_view body,
              bool end_stream, std::mt19937& random) {
  while (!body.empty()) {
    const size_t size = std::min<size_t>(body.size(), 1 + random() % 400);
    frames.push_back(
        random() % 3 == 0
            ? h2::data(stream, h2::padded(body.substr(0, size), random() % 30), h2::kPadded)
            : h2::data(stream, body.substr(0, size)));
    body.remove_prefix(size);
  }
  if (end_stream) frames.push_back(h2::data(stream, "", h2::kEndStream));
}

KeptRecords meter_host(const std::string& host, const std::vector<Golden>& cases,
                       std::mt19937& random) {
  std::vector<std::vector<std::string>> up;
  std::vector<std::vector<std::string>> down;
  std::string resets_up;
  uint32_t stream = 1;
  for (const Golden& golden : cases) {
    // Streams are opened in their order, so their heads are not mixed.
    up.emplace_back();
    add_data(up.back(), stream, golden.request_body, true, random);
    auto& answer = down.emplace_back();
    answer.push_back(h2::frame(h2::kHeaders, h2::kEndHeaders, stream, h2::block(golden.response)));
    add_data(answer, stream, golden.response_body, golden.end == "complete", random);
    if (golden.end == "reset") answer.push_back(h2::rst(stream));
    if (golden.end == "client_abort") resets_up += h2::rst(stream);
    stream += 2;
  }
  std::string heads = h2::kPreface + h2::settings();
  stream = 1;
  for (const Golden& golden : cases) {
    heads += h2::frame(h2::kHeaders, h2::kEndHeaders, stream, h2::block(golden.request));
    stream += 2;
  }

  KeptRecords kept;
  ManualClock clock;
  meter::ConnectionFacts facts;
  facts.host = host;
  facts.transport = "h2";
  const meter::Provider* provider = meter::provider_for_host(host);
  REQUIRE(provider != nullptr);
  meter::ConnectionMeter meter(*provider, facts, clock, kept);
  http::H2Observer observer(meter);
  const auto feed = [&](bool from_client, const std::string& bytes) {
    Split split{"random", {}};
    for (int i = 0; i < 50; ++i) split.sizes.push_back(1 + random() % 3000);
    feed_split(as_bytes(bytes), split, [&](Bytes piece) {
      const auto fed = from_client ? observer.from_client(piece) : observer.from_origin(piece);
      if (!fed) FAIL(describe(fed.error()));
    });
  };
  feed(true, heads + mix(std::move(up), random));
  feed(false, h2::settings() + mix(std::move(down), random));
  feed(true, resets_up);
  observer.origin_ended(true);
  observer.client_ended(true);
  CHECK(meter.open_calls() == 0);
  return kept;
}

TEST_CASE("golden exchanges as streams of HTTP/2 connections") {
  const auto hosts = load();
  REQUIRE(hosts.size() >= 4);
  std::mt19937 random(4);
  for (int round = 0; round < 4; ++round) {
    for (const auto& [host, cases] : hosts) {
      CAPTURE(host, round);
      const KeptRecords kept = meter_host(host, cases, random);
      std::vector<std::string> told;
      std::vector<std::string> wanted;
      for (const CallRecord& record : kept.calls) {
        told.push_back(line_of(record));
        CHECK(record.transport == "h2");
      }
      for (const Golden& golden : cases) {
        wanted.insert(wanted.end(), golden.expected.begin(), golden.expected.end());
      }
      std::ranges::sort(told);
      std::ranges::sort(wanted);
      CHECK(told == wanted);
      CHECK(kept.misses.empty());
    }
  }
}

TEST_CASE("a WebSocket over HTTP/2 is a WebSocket, refused or not") {
  KeptRecords kept;
  ManualClock clock;
  meter::ConnectionFacts facts;
  facts.host = "api.openai.com";
  facts.transport = "h2";
  meter::ConnectionMeter meter(*meter::provider_for_host(facts.host), facts, clock, kept);
  http::H2Observer observer(meter);
  h2::Fields ask = h2::request_fields("CONNECT", "/v1/responses");
  ask.emplace_back(":protocol", "websocket");
  const auto open = [&](uint32_t stream) {
    return h2::frame(h2::kHeaders, h2::kEndHeaders, stream, h2::block(ask));
  };
  REQUIRE(observer.from_client(as_bytes(h2::kPreface + h2::settings() + open(1) + open(3))));
  REQUIRE(observer.from_origin(as_bytes(h2::settings() + h2::response(1, h2::kEndHeaders) +
                                        h2::response(3, h2::kWholeHead, 426))));
  // Only the one that was accepted is worth a word; what it says is not this test's affair.
  CHECK(kept.calls.empty());
  CHECK(kept.misses.empty());
  observer.origin_ended(true);
  CHECK(kept.calls.size() + kept.misses.size() <= 1);
}

}  // namespace
}  // namespace hm::test
