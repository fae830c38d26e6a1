// What the tests of the meter share: a sink that keeps what it is given, one exchange fed through a
// ConnectionMeter, and encoders for every content coding.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "interceptor/meter/connection_meter.h"
#include "tests/support/splits.h"

namespace hm::test {

struct KeptRecords final : RecordSink {
  bool push(CallRecord&& record) noexcept override {
    calls.push_back(std::move(record));
    return true;
  }
  bool push(MissRecord&& record) noexcept override {
    misses.push_back(std::move(record));
    return true;
  }
  std::vector<CallRecord> calls;
  std::vector<MissRecord> misses;
};

struct Exchange {
  std::string host;
  http::RequestHead request;
  std::string request_body;
  http::ResponseHead response;
  std::string response_body;
  http::EndKind end = http::EndKind::complete;
};

// A POST with a JSON body that was answered with 200 and `content_type`.
[[nodiscard]] Exchange simple_exchange(std::string_view host, std::string_view target,
                                       std::string_view request_body,
                                       std::string_view response_body,
                                       std::string_view content_type = "application/json");

[[nodiscard]] KeptRecords meter_exchange(const Exchange& exchange, const Split& request_split,
                                         const Split& response_split);
[[nodiscard]] KeptRecords meter_exchange(const Exchange& exchange);
// With a provider other than that of the exchange's host.
[[nodiscard]] KeptRecords meter_exchange(const meter::Provider& provider, const Exchange& exchange,
                                         const Split& request_split, const Split& response_split);

// gzip, deflate, br or zstd, flushed after every `piece` bytes.
[[nodiscard]] std::string compress(std::string_view coding, std::string_view text, size_t piece);

}  // namespace hm::test
