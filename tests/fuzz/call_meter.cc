// One exchange of any route with any bodies. The first bytes choose the route, the content type,
// the coding, the status and how the body is cut; the record must keep its promises whatever comes.
#include <cstdlib>
#include <string>
#include <vector>

#include "interceptor/meter/connection_meter.h"

namespace {

using hm::Bytes;
using hm::CallRecord;

struct Checked final : hm::RecordSink {
  bool push(CallRecord&& record) noexcept override {
    const hm::Usage& usage = record.usage;
    const bool figures = usage.input_tokens >= 0 && usage.cache_read_tokens >= 0 &&
                         usage.cache_write_5m_tokens >= 0 && usage.cache_write_1h_tokens >= 0 &&
                         usage.output_tokens >= 0 && usage.thinking_tokens >= 0 &&
                         usage.thinking_tokens <= usage.output_tokens;
    const bool words = record.id.size() == 36 && record.model.size() <= 200 &&
                       record.tokens_complete == record.incomplete_reason.empty() &&
                       record.error_kind.empty() == record.error_class.empty();
    if (!figures || !words) std::abort();
    ++calls;
    said += record.model + "|" + record.response_id + "|" + record.stop_reason + "|" +
            std::to_string(usage.input_tokens) + "|" + std::to_string(usage.cache_read_tokens) +
            "|" + std::to_string(usage.cache_write_5m_tokens) + "|" +
            std::to_string(usage.output_tokens) + "|" + record.incomplete_reason + "|" +
            record.error_kind + "|" + record.provider_error_code + "|" +
            std::to_string(record.tool_calls.size()) + "|" + record.bucket_doubt + "\n";
    return true;
  }
  bool push(hm::MissRecord&&) noexcept override { return true; }
  int calls = 0;
  std::string said;
};

struct Plan {
  std::string host;
  hm::http::RequestHead request;
  hm::http::ResponseHead response;
  hm::http::EndKind end = hm::http::EndKind::complete;
  Bytes up;
  Bytes down;
};

std::string path_of(std::string_view pattern) {
  std::string path;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '{') {
      path += 'm';
      i = pattern.find('}', i);
    } else if (pattern[i] != '*') {
      path += pattern[i];
    }
  }
  return path;
}

template <class Feed>
void feed(Bytes input, size_t piece, Feed&& give) {
  while (!input.empty()) {
    const size_t size = std::min(input.size(), piece);
    const std::vector<uint8_t> copy(input.begin(),
                                    input.begin() + static_cast<std::ptrdiff_t>(size));
    give(Bytes(copy));
    input = input.subspan(size);
  }
}

std::string run(const Plan& plan, size_t piece) {
  Checked sink;
  hm::ManualClock clock;
  hm::meter::ConnectionFacts facts;
  facts.host = plan.host;
  hm::meter::ConnectionMeter meter(*hm::meter::provider_by_name(plan.host), facts, clock, sink);
  meter.on_request_head(1, plan.request);
  feed(plan.up, piece, [&](Bytes bytes) { meter.on_request_body(1, bytes); });
  meter.on_request_end(1);
  meter.on_response_head(1, plan.response);
  feed(plan.down, piece, [&](Bytes bytes) { meter.on_response_body(1, bytes); });
  meter.on_exchange_end(1, plan.end);
  if (meter.open_calls() != 0) std::abort();
  return sink.said;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  constexpr const char* kTypes[] = {"text/event-stream", "application/json", "",
                                    "application/x-jsonl", "text/html"};
  constexpr const char* kCodings[] = {"", "", "", "gzip", "br", "zstd", "deflate", "gzip, br"};
  constexpr int kStatus[] = {200, 200, 200, 200, 400, 429, 503, 202};
  const auto providers = hm::meter::all_providers();
  const hm::meter::Provider& provider = *providers[data[0] % providers.size()];
  const hm::meter::Route& route = provider.routes[data[1] % provider.routes.size()];
  Plan plan;
  plan.host = provider.name;
  plan.request = {std::string(route.method), path_of(route.path), "", "1.1", {}};
  if ((data[4] & 1U) != 0) {
    plan.request.headers.push_back({"content-type", "multipart/form-data; boundary=B"});
  }
  if ((data[4] & 2U) != 0)
    plan.request.headers.push_back({"content-encoding", kCodings[data[3] % 8]});
  plan.response = {
      kStatus[data[5] % 8],
      "1.1",
      {{"content-type", kTypes[data[2] % 5]}, {"content-encoding", kCodings[data[3] % 8]}}};
  plan.end = static_cast<hm::http::EndKind>((data[4] >> 4U) % 4);
  const size_t piece = size_t{data[6]} + 1;
  Bytes rest(data + 7, size - 7);
  const size_t up = std::min<size_t>(rest.size(), data[7]);
  plan.up = rest.first(up);
  plan.down = rest.subspan(up);
  // A second way of cutting; codings may meet their limits at another byte, so plain bodies only.
  const std::string said = run(plan, piece);
  if (plan.response.header("content-encoding").empty() && said != run(plan, 1 << 20)) std::abort();
  return 0;
}
