// What is going on now: costs of the last minutes and the last calls. Facts in, two forms out. Pure
// but for read_top().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "interceptor/store/queries.h"

namespace hm::cli {

struct TopWindow {
  int64_t minutes = 0;
  store::Totals totals;
  int64_t missed = 0;  // of every project: who made a call that went past is not known
};

struct TopFacts {
  int64_t now_us = 0;
  std::string project;                   // empty: all
  std::optional<int64_t> open_calls;     // empty: the interceptor does not answer
  std::vector<TopWindow> windows;        // the shortest first; empty: no database yet
  std::vector<store::RequestRow> calls;  // the latest first
};

[[nodiscard]] Result<TopFacts> read_top(const Context& context, const std::string& project,
                                        int64_t calls);
[[nodiscard]] std::string top_text(const TopFacts& facts, const Context& context);
[[nodiscard]] std::string top_json(const TopFacts& facts, const std::string& version);

}  // namespace hm::cli
