// The overview of `status`: facts in, verdict and rows out. Pure but for gather_status().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/pair_state.h"
#include "interceptor/store/queries.h"

namespace hm::cli {

struct StatusFacts {
  std::string install_mode;  // empty: not installed
  BoundPorts ports;
  bool ports_known = false;
  std::optional<StatusAnswer> edge;
  std::string edge_error;  // why it does not answer
  std::optional<StatusAnswer> daemon;
  std::string daemon_error;
  bool edge_accepts = false;
  bool internal_accepts = false;
  bool api_accepts = false;
  std::string database;  // path
  bool database_there = false;
  std::string database_error;
  store::MeteredShare share;  // of the last 24 hours
  std::vector<store::MissCount> misses;
  std::optional<int64_t> last_capture_us;
  int64_t now_us = 0;
};

enum class Verdict : unsigned char { healthy, degraded, down };

[[nodiscard]] const char* name_of(Verdict verdict);

struct StatusRow {
  std::string component;
  std::string state;
  std::string detail;
  bool well = true;
};

struct StatusReport {
  Verdict verdict = Verdict::down;
  std::vector<StatusRow> rows;
  std::vector<std::string> hints;  // what to do next
};

[[nodiscard]] StatusFacts gather_status(const Context& context);
[[nodiscard]] StatusReport judge_status(const StatusFacts& facts);
[[nodiscard]] std::string status_text(const StatusReport& report, const Context& context);
[[nodiscard]] std::string status_json(const StatusFacts& facts, const StatusReport& report,
                                      const std::string& version);

}  // namespace hm::cli
