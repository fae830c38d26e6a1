// How many rows a second the writer takes, without any relay in front of it, and a database of as
// many rows for the measurement of `report`.
//
//   bench_rows HOME ROWS      writes ROWS calls into HOME/db.sqlite, prints {"rows_per_s": N}
//
// The calls are as a meter makes them: ids of edge and meter, one after another in time, two rates
// each. At most 1024 are on their way at a time; "spooled" tells how many of them the writer put
// into the spool as well because a commit took longer than 30 ms.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "common/base/clock.h"
#include "common/base/random_id.h"
#include "interceptor/pricing/rate_card.h"
#include "interceptor/store/record_queue.h"
#include "interceptor/store/writer.h"
#include "tests/bench/bench_socket.h"

namespace {

using namespace std::chrono_literals;

constexpr int64_t kMostWaiting = 1024;

hm::CallRecord call(int64_t number, int64_t begun_us) {
  static constexpr const char* kModels[] = {"gpt-5-mini", "gpt-5", "claude-sonnet-4-5",
                                            "claude-haiku-4-5"};
  const auto kind = static_cast<size_t>(number % 4);
  hm::CallRecord record;
  record.id = hm::ordered_uuid();
  record.call_id = hm::ordered_hex_id();
  record.provider = record.rate_namespace = kind < 2 ? "openai" : "anthropic";
  record.host = kind < 2 ? "api.openai.com" : "api.anthropic.com";
  record.model = record.requested_model = kModels[kind];
  record.endpoint = kind < 2 ? "chat_completions" : "messages";
  record.usage.input_tokens = 500 + number % 100;
  record.usage.output_tokens = 100 + number % 50;
  record.tokens_complete = true;
  record.requested_at_us = begun_us + number * 1'000'000;
  record.ttfb_us = 200'000;
  record.duration_us = 1'500'000;
  record.bytes_up = record.bytes_down = 2048;
  record.http_status = 200;
  record.provider_request_id = "req_" + std::to_string(number);
  record.attribution.project = "project-" + std::to_string(number % 20);
  record.attribution.client_name = "bench";
  return record;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("Usage: bench_rows HOME ROWS\n", stderr);
    return 2;
  }
  const std::filesystem::path home = argv[1];
  const int64_t rows = std::stoll(argv[2]);
  const auto rates =
      std::make_shared<const hm::pricing::RateCard>(hm::pricing::RateCard::bundled());
  hm::store::RecordQueue queue;
  hm::store::WriterOptions options;
  options.database = home / "db.sqlite";
  options.spool_dir = home / "spool";
  hm::store::Writer writer(options, queue, rates, hm::system_clock());
  if (!writer.start()) hm::bench::die("the writer does not start");
  const int64_t first_us = hm::system_clock().wall_us() - rows * 1'000'000;
  const int64_t begun = hm::bench::now_ns();
  for (int64_t number = 0; number < rows; ++number) {
    while (number - writer.status().rows_written.load() >= kMostWaiting)
      std::this_thread::sleep_for(200us);
    if (!queue.push(call(number, first_us))) hm::bench::die("the queue is full");
  }
  if (!writer.flush(600s)) hm::bench::die("the writer does not come to an end");
  const double seconds = static_cast<double>(hm::bench::now_ns() - begun) / 1e9;
  std::printf("{\"rows_per_s\": %.0f, \"spooled\": %lld}\n", static_cast<double>(rows) / seconds,
              static_cast<long long>(writer.status().spooled.load()));
}
