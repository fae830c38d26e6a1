// One real call through the edge for the reserved name that the interceptor answers itself
// (common/wire/ask.h), with the certificates that clients are given; it must come back as a row.
// Blocks.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>

namespace hm::cli {

struct SelfTestPlan {
  uint16_t edge_port = 0;
  std::filesystem::path bundle;    // what a client trusts
  std::filesystem::path database;  // where the row has to be
  int64_t limit_ms = 10'000;
};

struct SelfTestResult {
  int64_t call_us = 0;  // the call itself
  int64_t row_us = 0;   // until its row was there
};

// The same call for somebody else to make.
struct SelfTestRequest {
  std::string host;
  std::string path;
  std::string header;  // "name: value", without which it gets a 400
  std::string body;
  std::string text;  // all of it, HTTP/1.1
};
[[nodiscard]] SelfTestRequest self_test_request();

// The error says at which step the call ended, as a sentence.
[[nodiscard]] std::expected<SelfTestResult, std::string> run_self_test(const SelfTestPlan& plan);

}  // namespace hm::cli
