// What a running pair says about itself: ports file and control sockets. Missing keys are empty, so
// that other versions of the processes can be asked too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/fs.h"
#include "common/base/result.h"
#include "common/wire/control_message.h"

namespace hm::cli {

struct BoundPorts {
  uint16_t edge = 0;
  uint16_t internal = 0;
  uint16_t api = 0;
};

[[nodiscard]] std::optional<BoundPorts> bound_ports(const RunPlace& place);

class StatusAnswer {
 public:
  [[nodiscard]] static Result<StatusAnswer> ask(const std::filesystem::path& socket,
                                                int64_t timeout_ms = 500);
  [[nodiscard]] static StatusAnswer parse(std::string_view text);  // what is malformed is empty

  [[nodiscard]] std::string_view text(std::string_view key) const;  // empty: not told
  [[nodiscard]] std::optional<int64_t> number(std::string_view key) const;
  // The values of prefix1, prefix2, ... in the order of the answer.
  [[nodiscard]] std::vector<std::string> with_prefix(std::string_view prefix) const;

 private:
  wire::ControlFields fields_;
};

// Both answer and the edge's port accepts.
[[nodiscard]] bool pair_answers(const RunPlace& place, const BoundPorts& ports);

// The edge sends calls to its interceptor. True also when this edge does not tell.
[[nodiscard]] bool gate_is_open(const RunPlace& place);

// Missed calls that the edge has counted and not handed over yet.
[[nodiscard]] int64_t waiting_misses(const RunPlace& place);

// Connections that the interceptor and the edge have open; 0 when they do not tell.
[[nodiscard]] int64_t open_calls(const RunPlace& place);

// Waits until no more calls are open than `others` (those of other programs) and what was seen of
// them is in the database; limit_ms at most.
void wait_until_stored(const RunPlace& place, int64_t others, int64_t limit_ms);

}  // namespace hm::cli
