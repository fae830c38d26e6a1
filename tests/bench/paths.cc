// The hot sans-I/O paths over the golden exchanges, for counting instructions
// (scripts/instructions).
//
//   bench_paths GOLDEN_FOLDER PATH     runs one path; the counter toggles on measured()
//   bench_paths --list
//
// Everything is prepared outside of measured(), which is never inlined.
#include <rapidjson/document.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "interceptor/http/decoder.h"
#include "interceptor/http/h1_observer.h"
#include "interceptor/http/h2_observer.h"
#include "interceptor/http/sse.h"
#include "interceptor/meter/connection_meter.h"
#include "interceptor/meter/json_skim.h"
#include "interceptor/meter/provider.h"
#include "interceptor/pricing/price.h"
#include "interceptor/pricing/rate_card.h"
#include "tests/support/h2_wire.h"
#include "tests/unit/meter/support.h"

namespace fs = std::filesystem;
using hm::as_bytes;
using hm::test::h2::Fields;

// The only place where instructions are counted.
extern "C" __attribute__((noinline, noclone, used)) void measured(
    const std::function<void()>& work) {
  work();
}

namespace {

constexpr size_t kPiece = 1400;  // as TLS records of a stream come

struct Case {
  std::string host;
  std::string up_h1, down_h1, up_h2, down_h2;
  std::string body;
  bool stream = false;
};

std::string slurp(const fs::path& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    std::ifstream in(folder / name, std::ios::binary);
    if (in) return {std::istreambuf_iterator<char>(in), {}};
  }
  return {};
}

Fields headers(const rapidjson::Document& meta, const char* key) {
  Fields fields;
  if (!meta.HasMember(key)) return fields;
  for (const auto& member : meta[key].GetObject()) {
    std::string name = member.name.GetString();
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    if (name != "content-encoding" && name != "host" && name != "content-length")
      fields.emplace_back(name, member.value.GetString());
  }
  return fields;
}

std::string h1_head(const std::string& first, const Fields& fields, size_t length) {
  std::string head = first + "\r\n";
  for (const auto& [name, value] : fields) head.append(name).append(": ").append(value) += "\r\n";
  return head + "content-length: " + std::to_string(length) + "\r\n\r\n";
}

std::string h2_stream(const Fields& fields, const std::string& body) {
  using namespace hm::test::h2;
  std::string text = frame(kHeaders, kEndHeaders, 1, block(fields));
  for (size_t at = 0; at < body.size(); at += kPiece) text += data(1, body.substr(at, kPiece));
  return text + data(1, "", kEndStream);
}

std::vector<Case> load(const fs::path& golden) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(golden)) folders.push_back(entry.path());
  std::ranges::sort(folders);
  std::vector<Case> cases;
  for (const fs::path& folder : folders) {
    rapidjson::Document meta;
    meta.Parse(slurp(folder, {"meta.json"}).c_str());
    if (meta.HasParseError() || meta.HasMember("transport")) continue;  // WebSocket cases
    Case one;
    one.host = meta["host"].GetString();
    one.body = slurp(folder, {"response.sse", "response.json", "response.txt"});
    one.stream = fs::exists(folder / "response.sse");
    const std::string request_body = slurp(folder, {"request.json", "request.txt"});
    const std::string method = meta["method"].GetString();
    const std::string path = meta["path"].GetString();
    const std::string status = std::to_string(meta["http_status"].GetInt());
    Fields request = headers(meta, "request_headers");
    Fields response = headers(meta, "response_headers");
    response.emplace_back("content-type", meta["content_type"].GetString());
    one.up_h1 = h1_head(method + " " + path + " HTTP/1.1\r\nhost: " + one.host, request,
                        request_body.size()) +
                request_body;
    one.down_h1 = h1_head("HTTP/1.1 " + status + " X", response, one.body.size()) + one.body;
    request.insert(
        request.begin(),
        {{":method", method}, {":scheme", "https"}, {":authority", one.host}, {":path", path}});
    response.insert(response.begin(), {":status", status});
    one.up_h2 =
        hm::test::h2::kPreface + hm::test::h2::settings() + h2_stream(request, request_body);
    one.down_h2 = hm::test::h2::settings() + h2_stream(response, one.body);
    cases.push_back(std::move(one));
  }
  return cases;
}

template <class Take>
void in_pieces(const std::string& text, Take take) {
  for (size_t at = 0; at < text.size(); at += kPiece)
    take(as_bytes(std::string_view(text).substr(at, kPiece)));
}

struct Deaf final : hm::http::ExchangeEvents,
                    hm::http::SseEvents,
                    hm::http::DecodedSink,
                    hm::meter::SkimEvents {
  void on_request_head(hm::http::ExchangeId, const hm::http::RequestHead&) override {}
  void on_request_body(hm::http::ExchangeId, hm::Bytes) override {}
  void on_request_end(hm::http::ExchangeId) override {}
  void on_interim(hm::http::ExchangeId, int) override {}
  void on_response_head(hm::http::ExchangeId, const hm::http::ResponseHead&) override {}
  void on_response_body(hm::http::ExchangeId, hm::Bytes) override {}
  void on_trailers(hm::http::ExchangeId, const std::vector<hm::http::Header>&) override {}
  void on_exchange_end(hm::http::ExchangeId, hm::http::EndKind) override {}
  void on_upgrade(hm::http::ExchangeId) override {}
  void on_upgraded_bytes(hm::http::ExchangeId, bool, hm::Bytes) override {}
  void on_event_name(std::string_view) override {}
  void on_data(hm::Bytes) override {}
  void on_event_end(std::string_view, std::string_view) override {}
  void on_decoded(hm::Bytes) override {}
  void on_value(size_t, std::string_view) override {}
  void on_seen(size_t) override {}
  void on_skipped(size_t) override {}
  void on_document_end() override {}
};

void must(const hm::Result<void>& result) {
  if (!result) std::abort();
}

template <class Observer>
void observe(hm::http::ExchangeEvents& events, const std::string& up, const std::string& down) {
  Observer observer(events);
  in_pieces(up, [&](hm::Bytes piece) { must(observer.from_client(piece)); });
  in_pieces(down, [&](hm::Bytes piece) { must(observer.from_origin(piece)); });
  observer.origin_ended(true);
  observer.client_ended(true);
}

std::vector<hm::CallRecord> meter(const std::vector<Case>& cases, bool h2) {
  hm::test::KeptRecords kept;
  hm::ManualClock clock;
  for (const Case& one : cases) {
    hm::meter::ConnectionFacts facts;
    facts.host = one.host;
    const hm::meter::Provider* provider = hm::meter::provider_for_host(one.host);
    if (provider == nullptr) std::abort();
    hm::meter::ConnectionMeter meter(*provider, facts, clock, kept);
    if (h2) {
      observe<hm::http::H2Observer>(meter, one.up_h2, one.down_h2);
    } else {
      observe<hm::http::H1Observer>(meter, one.up_h1, one.down_h1);
    }
  }
  return std::move(kept.calls);
}

using Path = std::function<void(const std::vector<Case>&)>;

void run_sse(const std::vector<Case>& cases) {
  Deaf deaf;
  measured([&] {
    for (const Case& one : cases) {
      if (!one.stream) continue;
      hm::http::SseParser parser(deaf);
      in_pieces(one.body, [&](hm::Bytes piece) { must(parser.feed(piece)); });
      must(parser.finish());
    }
  });
}

void run_skim(const std::vector<Case>& cases) {
  static constexpr std::array<hm::meter::SkimPath, 4> kPaths{
      {{"usage"}, {"model"}, {"response.usage"}, {"usageMetadata"}}};
  Deaf deaf;
  measured([&] {
    for (const Case& one : cases) {
      if (one.stream || !one.body.starts_with('{')) continue;
      hm::meter::JsonSkim skim(kPaths, deaf);
      in_pieces(one.body, [&](hm::Bytes piece) { static_cast<void>(skim.feed(piece)); });
    }
  });
}

void run_decoder(const std::vector<Case>& cases, const std::string& coding) {
  std::vector<std::string> bodies;
  for (const Case& one : cases) bodies.push_back(hm::test::compress(coding, one.body, kPiece));
  Deaf deaf;
  measured([&] {
    for (const std::string& body : bodies) {
      auto decoder = hm::http::Decoder::create(coding, {}, deaf);
      if (!decoder) std::abort();
      in_pieces(body, [&](hm::Bytes piece) { must((*decoder)->feed(piece)); });
      must((*decoder)->finish());
    }
  });
}

void run_price(const std::vector<Case>& cases) {
  const std::vector<hm::CallRecord> records = meter(cases, false);
  const hm::pricing::RateCard& card = hm::pricing::RateCard::bundled();
  const auto price_all = [&] {
    for (const hm::CallRecord& record : records)
      static_cast<void>(hm::pricing::price(card, record));
  };
  price_all();  // the first call for a model compiles its pattern
  measured(price_all);
}

const std::map<std::string, Path>& paths() {
  static const std::map<std::string, Path> all{
      {"h1_observer",
       [](const auto& cases) {
         Deaf deaf;
         measured([&] {
           for (const Case& one : cases)
             observe<hm::http::H1Observer>(deaf, one.up_h1, one.down_h1);
         });
       }},
      {"h2_observer",
       [](const auto& cases) {
         Deaf deaf;
         measured([&] {
           for (const Case& one : cases)
             observe<hm::http::H2Observer>(deaf, one.up_h2, one.down_h2);
         });
       }},
      {"sse", run_sse},
      {"json_skim", run_skim},
      {"decoder_gzip", [](const auto& cases) { run_decoder(cases, "gzip"); }},
      {"decoder_br", [](const auto& cases) { run_decoder(cases, "br"); }},
      {"decoder_zstd", [](const auto& cases) { run_decoder(cases, "zstd"); }},
      {"meter_h1", [](const auto& cases) { measured([&] { meter(cases, false); }); }},
      {"meter_h2", [](const auto& cases) { measured([&] { meter(cases, true); }); }},
      {"price", run_price}};
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--list") {
    for (const auto& [name, path] : paths()) std::puts(name.c_str());
    return 0;
  }
  const auto path = argc == 3 ? paths().find(argv[2]) : paths().end();
  if (path == paths().end()) {
    std::fputs("Usage: bench_paths GOLDEN_FOLDER PATH | --list\n", stderr);
    return 2;
  }
  const std::vector<Case> cases = load(argv[1]);
  if (cases.empty()) {
    std::fputs("bench_paths: no golden cases there\n", stderr);
    return 1;
  }
  path->second(cases);
}
