// Every LLM call that this edge sent past the meter, until the interceptor has taken it over.
// Bounded: beyond 4096 entries they are summed by host, reason and hour (then day, then
// altogether): coarser, never lost. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hm::edge {

struct Miss {
  int64_t sequence = 0;  // given by the ledger, growing
  int64_t at_us = 0;     // wall
  std::string host;
  std::string reason;  // gate_closed, ask_refused, ask_timeout, ask_full, interceptor_lost, ...
  int64_t count = 1;
  int64_t bytes_up = 0;
  int64_t bytes_down = 0;
  int64_t duration_us = 0;
  int64_t client_port = 0;
  std::string call_id;

  [[nodiscard]] std::string pack() const;  // one control value
  [[nodiscard]] static Miss unpack(std::string_view text);
};

class MissLedger {
 public:
  static constexpr size_t kMaxEntries = 4096;

  void add(Miss miss);
  // At most `most` entries, oldest first.
  [[nodiscard]] std::vector<Miss> oldest(size_t most) const;
  void acknowledge(int64_t up_to_sequence);

  [[nodiscard]] size_t entries() const { return entries_.size(); }
  [[nodiscard]] int64_t calls() const;  // misses not handed over, summed
  [[nodiscard]] bool empty() const { return entries_.empty(); }

  [[nodiscard]] std::string save() const;  // one line per entry
  void load(std::string_view text);        // adds what a former edge left

 private:
  void compact(int64_t span_us);

  std::map<int64_t, Miss> entries_;  // by sequence
  int64_t next_sequence_ = 1;
};

}  // namespace hm::edge
