// One LLM call that went past the meter, as the edge counts it and the interceptor takes it over;
// or a sum of such calls. Plain data and its one text form, a value of the control protocol.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hm::wire {

struct Miss {
  int64_t sequence = 0;  // its place in the ledger that hands it over, growing
  // Its name for life, whichever ledger holds it: what was handed over twice is told by it.
  uint64_t origin = 0;  // the ledger that made it
  int64_t number = 0;
  int64_t at_us = 0;  // wall
  std::string host;
  std::string reason;  // gate_closed, ask_refused, ask_timeout, ask_full, interceptor_lost, ...
  std::string detail;
  int64_t count = 1;
  int64_t bytes_up = 0;
  int64_t bytes_down = 0;
  int64_t duration_us = 0;
  int64_t client_port = 0;
  std::string call_id;

  [[nodiscard]] std::string source() const;  // "edge-" and the origin in hex
  [[nodiscard]] std::string pack() const;
  [[nodiscard]] static Miss unpack(std::string_view text);  // what is missing keeps its default
};

}  // namespace hm::wire
