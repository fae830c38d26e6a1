// Every recorded exchange of tests/golden, through a ConnectionMeter, cut and compressed in every
// way.
#include <rapidjson/document.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "tests/unit/meter/golden_check.h"
#include "tests/unit/meter/support.h"

namespace hm::test {
namespace {

namespace fs = std::filesystem;

struct Case {
  std::string name;
  Exchange exchange;
  std::vector<size_t> chunks;
  std::optional<std::string> request_wire;   // compressed by the recorded client
  std::optional<std::string> response_wire;  // compressed by the recorded server
  std::string response_coding;
  std::string request_coding;
  rapidjson::Document expected;
};

std::optional<std::string> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// The coding that the recorded wire form is in, by the file's ending.
void read_wire(const fs::path& folder, std::string_view stem, std::optional<std::string>& wire,
               std::string& coding) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(stem)) continue;
    const std::string ending = entry.path().extension();
    if (ending == ".gz") coding = "gzip";
    if (ending == ".br") coding = "br";
    if (ending == ".zst") coding = "zstd";
    if (ending == ".gz" || ending == ".br" || ending == ".zst") wire = read_file(entry.path());
  }
}

void read_headers(const rapidjson::Value& meta, const char* key, std::vector<http::Header>& out) {
  if (!meta.HasMember(key)) return;
  for (const auto& member : meta[key].GetObject()) {
    const std::string name = lower(member.name.GetString());
    // The runs below add the coding that they use.
    if (name != "content-encoding") out.push_back({name, member.value.GetString()});
  }
}

// Nothing for WebSocket cases: golden_socket_test.cc has them.
std::optional<Case> load(const fs::path& folder) {
  rapidjson::Document meta;
  meta.Parse(read_file(folder / "meta.json").value().c_str());
  if (meta.HasMember("transport")) return std::nullopt;
  Case golden;
  golden.name = folder.filename();
  golden.expected.Parse(read_file(folder / "expected.json").value().c_str());
  Exchange& exchange = golden.exchange;
  exchange.host = meta["host"].GetString();
  exchange.request.method = meta["method"].GetString();
  exchange.request.target = meta["path"].GetString();
  exchange.request.authority = exchange.host;
  exchange.request.version = "1.1";
  read_headers(meta, "request_headers", exchange.request.headers);
  exchange.response.status = meta["http_status"].GetInt();
  exchange.response.version = "1.1";
  exchange.response.headers.push_back({"content-type", meta["content_type"].GetString()});
  read_headers(meta, "response_headers", exchange.response.headers);
  for (const char* ending : {"json", "txt"}) {
    if (auto body = read_file(folder / (std::string("request.") + ending))) {
      exchange.request_body = *body;
    }
  }
  for (const char* ending : {"json", "sse", "txt"}) {
    if (auto body = read_file(folder / (std::string("response.") + ending))) {
      exchange.response_body = *body;
    }
  }
  const std::string end = meta["end"].GetString();
  exchange.end = end == "complete"    ? http::EndKind::complete
                 : end == "eof_early" ? http::EndKind::eof_early
                 : end == "reset"     ? http::EndKind::reset
                                      : http::EndKind::client_abort;
  if (meta.HasMember("chunks")) {
    for (const auto& size : meta["chunks"].GetArray()) golden.chunks.push_back(size.GetUint());
  }
  read_wire(folder, "request.", golden.request_wire, golden.request_coding);
  read_wire(folder, "response.", golden.response_wire, golden.response_coding);
  return golden;
}

std::vector<Case> load_all() {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(fs::path(HM_SOURCE_DIR) / "tests/golden")) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::ranges::sort(folders);
  std::vector<Case> cases;
  for (const fs::path& folder : folders) {
    if (auto golden = load(folder)) cases.push_back(std::move(*golden));
  }
  return cases;
}

void check(const Case& golden, const KeptRecords& kept) {
  CHECK(kept.misses.empty());
  if (!golden.expected.IsArray()) {
    REQUIRE(kept.calls.size() == 1);
    check_record(kept.calls[0], golden.expected);
    return;
  }
  REQUIRE(kept.calls.size() == golden.expected.Size());
  for (rapidjson::SizeType i = 0; i < golden.expected.Size(); ++i) {
    check_record(kept.calls[i], golden.expected[i]);
  }
}

std::vector<Split> splits_of(const Case& golden, size_t length, int random_rounds) {
  std::vector<Split> splits = standard_splits(length, random_rounds);
  if (!golden.chunks.empty()) {
    Split chunks{"chunks", golden.chunks};
    chunks.sizes.push_back(std::max<size_t>(1, length));  // the rest in one piece
    splits.push_back(std::move(chunks));
  }
  return splits;
}

void run_all_splits(const Case& golden, const Exchange& exchange, int random_rounds) {
  const auto request_splits = standard_splits(exchange.request_body.size(), random_rounds);
  const auto response_splits = splits_of(golden, exchange.response_body.size(), random_rounds);
  for (size_t i = 0; i < response_splits.size(); ++i) {
    const Split& request = request_splits[std::min(i, request_splits.size() - 1)];
    CAPTURE(golden.name, response_splits[i].name);
    check(golden, meter_exchange(exchange, request, response_splits[i]));
  }
}

// Ends of all events: behind each blank line.
std::vector<size_t> event_ends(const std::string& body) {
  std::vector<size_t> ends{0};
  bool blank = true;
  for (size_t at = 0; at < body.size(); ++at) {
    if (body[at] != '\r' && body[at] != '\n') {
      blank = false;
      continue;
    }
    if (body[at] == '\r' && at + 1 < body.size() && body[at + 1] == '\n') ++at;
    if (blank) ends.push_back(at + 1);
    blank = true;
  }
  return ends;
}

}  // namespace

TEST_CASE("golden exchanges give their records however they are cut", "[golden]") {
  const std::vector<Case> cases = load_all();
  REQUIRE(cases.size() >= 80);
  for (const Case& golden : cases) run_all_splits(golden, golden.exchange, 8);
}

TEST_CASE("golden exchanges in their recorded wire form", "[golden]") {
  int seen = 0;
  for (const Case& golden : load_all()) {
    Exchange exchange = golden.exchange;
    if (golden.request_wire) {
      exchange.request_body = *golden.request_wire;
      exchange.request.headers.push_back({"content-encoding", golden.request_coding});
    }
    if (golden.response_wire) {
      exchange.response_body = *golden.response_wire;
      exchange.response.headers.push_back({"content-encoding", golden.response_coding});
    }
    if (!golden.request_wire && !golden.response_wire) continue;
    ++seen;
    run_all_splits(golden, exchange, 8);
  }
  CHECK(seen >= 4);
}

TEST_CASE("golden exchanges in every content coding", "[golden]") {
  for (const Case& golden : load_all()) {
    for (const char* coding : {"gzip", "deflate", "br", "zstd"}) {
      for (const size_t piece : {size_t{61}, size_t{4096}}) {
        CAPTURE(coding, piece);
        Exchange exchange = golden.exchange;
        exchange.request_body = compress(coding, exchange.request_body, piece);
        exchange.response_body = compress(coding, exchange.response_body, piece);
        exchange.request.headers.push_back({"content-encoding", coding});
        exchange.response.headers.push_back({"content-encoding", coding});
        run_all_splits(golden, exchange, 1);
      }
    }
  }
}

TEST_CASE("golden streams survive strangers between their events", "[golden]") {
  const std::string stranger =
      ": a comment\nevent: halton.stranger\nid: 7\nretry: 10\n"
      "data: {\"type\":\"halton.stranger\",\"event_type\":\"halton.stranger\",\"x\":"
      "{\"usage\":{\"input_tokens\":9,\"prompt_tokens\":9}},\n"
      "data: \"text\":\"data: {\\\"usage\\\":{\\\"output_tokens\\\":5}}\\n\\n[DONE]\"}\n\n"
      "event: nothing\n\n";
  for (const Case& golden : load_all()) {
    const std::string& body = golden.exchange.response_body;
    const bool stream =
        golden.exchange.response.header("content-type").find("event-stream") != std::string::npos;
    if (!stream) continue;
    std::string everywhere = body;
    std::vector<size_t> ends = event_ends(body);
    std::ranges::reverse(ends);
    for (const size_t end : ends) {
      CAPTURE(golden.name, end);
      Exchange exchange = golden.exchange;
      const bool bom = end == 0 && body.starts_with("\xEF\xBB\xBF");
      exchange.response_body.insert(bom ? 3 : end, stranger);
      everywhere.insert(bom ? 3 : end, stranger);
      check(golden, meter_exchange(exchange));
    }
    Exchange exchange = golden.exchange;
    exchange.response_body = everywhere;
    run_all_splits(golden, exchange, 1);
  }
}

TEST_CASE("golden bodies survive unknown fields", "[golden]") {
  const std::string field =
      "\"x_unknown\": {\"usage\": {\"input_tokens\": 3}, \"model\": \"m\", \"a\": [1, "
      "\"]}\\\"\"]}, ";
  for (const Case& golden : load_all()) {
    Exchange exchange = golden.exchange;
    std::string& body = exchange.response_body;
    const bool stream = body.find("data:") != std::string::npos;
    if (!stream && body.find_first_of("{[") != body.find_first_not_of(" \t\r\n")) continue;
    for (size_t at = body.find('{'); at != std::string::npos;) {
      const size_t next = body.find_first_not_of(" \t\r\n", at + 1);
      if (next != std::string::npos && body[next] == '"') body.insert(at + 1, field);
      if (!stream) break;
      at = body.find("data: {", at + field.size());
      if (at != std::string::npos) at += 6;
    }
    if (exchange.request_body.starts_with('{')) exchange.request_body.insert(1, field);
    run_all_splits(golden, exchange, 1);
  }
}

}  // namespace hm::test
