// How many calls each connection has begun, in a file that survives the process: after kill -9 the
// next interceptor compares that with the rows it finds, and what is missing becomes a miss
// (interceptor_lost). So a call that was under way, or whose row was not safe yet, is counted, and
// one that was over is not counted twice. See common/wire/miss_file.h for the file.
//
// Bounded by its 4096 slots; connections beyond are told by the edge alone. Relay-loop thread;
// nothing here blocks but keep_in().
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/wire/miss_file.h"

namespace hm::relay {

// How far the store is, in rows: what was pushed and what of that is safe by now.
struct StoreProgress {
  std::function<int64_t()> pushed;
  std::function<int64_t()> safe;
};

class FlightLog {
 public:
  using Entry = size_t;
  static constexpr Entry kNone = SIZE_MAX;

  explicit FlightLog(StoreProgress progress);
  [[nodiscard]] Result<void> keep_in(const wire::LedgerFolders& folders);
  [[nodiscard]] wire::MissFile& file() { return file_; }  // for its keeper

  [[nodiscard]] Entry begin(const std::string& host, const std::string& call_id, int64_t port,
                            int64_t at_us);
  void note(Entry entry, int64_t calls);  // begun so far
  // The connection is over and its rows are pushed; it stays until they are safe.
  void end(Entry entry);
  [[nodiscard]] bool needed();  // by the next interceptor, when the process ends now

  [[nodiscard]] size_t entries() const { return used_; }
  [[nodiscard]] bool survives() const { return file_.survives(); }  // the end of the process

 private:
  void sweep();

  const StoreProgress progress_;
  wire::MissFile file_;
  std::vector<Entry> free_;
  std::deque<std::pair<int64_t, Entry>> ending_;  // rows that must be safe first
  uint64_t origin_ = 0;
  int64_t next_number_ = 1;
  size_t used_ = 0;
};

}  // namespace hm::relay
