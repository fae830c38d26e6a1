// The line that `run` ends with.
#pragma once

#include <optional>
#include <string>

#include "cli/context.h"
#include "interceptor/store/queries.h"

namespace hm::cli {

// "3 calls, 12,345 tokens in (10,000 cached), 678 out, $0.012345; 1 call not metered". Pure.
[[nodiscard]] std::string summary_text(const store::Totals& totals, int64_t not_metered);

// Reads the rows of this run. Misses carry no run, so those of its time are counted; nothing when
// the database cannot be read.
[[nodiscard]] std::optional<std::string> run_summary(const Context& context,
                                                     const std::string& run_id, int64_t since_us,
                                                     int64_t waiting_misses);

}  // namespace hm::cli
