// What one run of bench_load is asked to do, and how its figures are printed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/bench_socket.h"

namespace hm::bench {

struct LoadOptions {
  std::string mode;
  Way way = Way::direct;
  uint16_t dial = 0;  // the proxy's port, or the origin's with --way direct
  Address target{"127.0.0.1", 0};
  std::string server_name = "api.openai.com";
  int64_t count = 1000;
  int64_t connections = 1;
  int64_t bytes = 0;
  int64_t events = 20;
  int64_t interval_us = 20'000;
  bool tls = false;
};

// Nanoseconds in; one JSON object out, in microseconds: count, median, mean, p90, p99, max.
std::string describe(std::vector<int64_t> samples_ns);

std::string chat_request(const LoadOptions& options, bool stream);

// load_many.cc: many connections at once, one thread.
void run_calls(const LoadOptions& options);    // closed loop: each connection one call at a time
void run_streams(const LoadOptions& options);  // each connection one stream
void run_idle(const LoadOptions& options);     // opens, says "ready", holds until stdin ends

}  // namespace hm::bench
