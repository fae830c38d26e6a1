// The recorded sockets of tests/golden as real frames: cut, compressed and fragmented in every way.
#include <rapidjson/document.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/unit/meter/golden_check.h"
#include "tests/unit/meter/socket_support.h"

namespace hm::test {
namespace {

namespace fs = std::filesystem;

struct SocketCase {
  std::string name;
  Socket socket;
  rapidjson::Document expected;
};

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void read_headers(const rapidjson::Value& meta, const char* key, std::vector<http::Header>& out) {
  if (!meta.HasMember(key)) return;
  for (const auto& member : meta[key].GetObject()) {
    out.push_back({member.name.GetString(), member.value.GetString()});
  }
}

std::vector<SocketCase> load_all() {
  std::vector<SocketCase> cases;
  for (const auto& entry : fs::directory_iterator(fs::path(HM_SOURCE_DIR) / "tests/golden")) {
    if (!fs::exists(entry.path() / "ws.jsonl")) continue;
    SocketCase& golden = cases.emplace_back();
    golden.name = entry.path().filename();
    rapidjson::Document meta;
    meta.Parse(read_file(entry.path() / "meta.json").c_str());
    golden.expected.Parse(read_file(entry.path() / "expected.json").c_str());
    golden.socket.host = meta["host"].GetString();
    golden.socket.target = meta["path"].GetString();
    read_headers(meta, "request_headers", golden.socket.request_headers);
    read_headers(meta, "response_headers", golden.socket.response_headers);
    std::ifstream lines(entry.path() / "ws.jsonl");
    for (std::string line; std::getline(lines, line);) {
      if (line.empty()) continue;
      rapidjson::Document message;
      message.Parse(line.c_str());
      golden.socket.lines.push_back(
          {std::string(message["dir"].GetString()) == "c2s",
           std::string(message["text"].GetString(), message["text"].GetStringLength())});
    }
  }
  return cases;
}

void check(const SocketCase& golden, const KeptRecords& kept) {
  CHECK(kept.misses.empty());
  REQUIRE(kept.calls.size() == golden.expected.Size());
  for (rapidjson::SizeType i = 0; i < golden.expected.Size(); ++i) {
    check_record(kept.calls[i], golden.expected[i]);
    CHECK(kept.calls[i].transport == "ws");
    CHECK(kept.calls[i].bytes_down > 0);
  }
}

constexpr SocketForm kForms[] = {
    {}, {false, true, 3}, {true, true, 1}, {true, true, 3}, {true, false, 1}, {true, false, 4}};

}  // namespace

TEST_CASE("golden sockets give their records however they are sent", "[golden][socket]") {
  const std::vector<SocketCase> cases = load_all();
  REQUIRE(cases.size() >= 3);
  for (const SocketCase& golden : cases) {
    for (const SocketForm& form : kForms) {
      for (const bool extended_connect : {false, true}) {
        Socket socket = golden.socket;
        socket.extended_connect = extended_connect;
        for (const Split& split : standard_splits(1200, 8)) {
          CAPTURE(golden.name, form.deflate, form.keeps_context, form.fragments, extended_connect,
                  split.name);
          check(golden, meter_socket(socket, form, split));
        }
      }
    }
  }
}

TEST_CASE("golden sockets survive strangers between their messages", "[golden][socket]") {
  const std::vector<SocketLine> strangers = {
      {false, R"({"type":"halton.stranger","usage":{"input_tokens":9},"response":{"id":"x"}})"},
      {true, R"({"type":"halton.stranger","model":"m","response":{"usage":{"input_tokens":9}}})"},
      {false, "no json at all"},
      {false, ""},
      {true, "[1, 2"},
      {false, R"({"text":"{\"type\":\"response.completed\"}"})"}};
  for (const SocketCase& golden : load_all()) {
    Socket socket = golden.socket;
    socket.lines.clear();
    for (const SocketLine& line : golden.socket.lines) {
      for (const SocketLine& stranger : strangers) socket.lines.push_back(stranger);
      socket.lines.push_back(line);
    }
    CAPTURE(golden.name);
    for (const SocketForm& form : kForms) check(golden, meter_socket(socket, form));
  }
}

}  // namespace hm::test
