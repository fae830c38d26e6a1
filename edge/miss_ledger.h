// Every LLM call that this edge sends past the meter, until the interceptor has taken it over. A
// call is entered when its tunnel begins and completed at its end, so that it is counted also when
// the edge dies in between; see common/wire/miss_file.h for where the entries lie.
//
// Bounded: beyond 4096 entries they are summed by host, reason and hour (then day, then
// altogether): coarser, never lost. Tunnels beyond 2048 open ones are entered at their end. One
// thread; nothing here blocks but keep_in().
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "common/wire/miss.h"
#include "common/wire/miss_file.h"

namespace hm::edge {

using wire::Miss;

class MissLedger {
 public:
  static constexpr size_t kMaxEntries = wire::MissFile::kSlots;
  static constexpr size_t kMaxOpen = 2048;
  static constexpr size_t kMaxOffered = 512;

  using Entry = size_t;
  static constexpr Entry kNone = SIZE_MAX;

  MissLedger();
  // From now on in a file; what a dead edge left there is taken over. Before the first entry.
  [[nodiscard]] Result<void> keep_in(const wire::LedgerFolders& folders, int64_t now_us);
  [[nodiscard]] wire::MissFile& file() { return file_; }  // for its keeper

  void add(const Miss& miss) { complete(kNone, miss); }  // a call that is over
  [[nodiscard]] Entry begin(const Miss& miss);           // one that begins; kNone: not entered yet
  void complete(Entry entry, const Miss& miss);

  // The oldest entries, kMaxOffered at most. They stay as they are until acknowledged.
  [[nodiscard]] std::vector<Miss> offer(size_t most = kMaxOffered);
  void acknowledge(int64_t up_to_sequence);

  [[nodiscard]] size_t entries() const { return done_.size(); }
  [[nodiscard]] size_t open_entries() const { return open_; }
  [[nodiscard]] int64_t calls() const { return calls_; }  // of calls that are over, summed
  [[nodiscard]] bool survives() const { return file_.survives(); }  // the end of the process
  [[nodiscard]] bool empty() const { return done_.empty(); }
  [[nodiscard]] bool needed() const { return !done_.empty() || open_ > 0; }  // by the next edge

 private:
  size_t free_slot();
  size_t fill_slot(const Miss& miss, wire::MissSlot::State state);
  void enter(size_t slot);
  void compact(int64_t span_us, bool any_host);

  wire::MissFile file_;
  std::map<int64_t, size_t> done_;  // sequence to slot
  std::vector<size_t> free_;
  uint64_t origin_ = 0;
  int64_t next_number_ = 1;
  int64_t next_sequence_ = 1;
  int64_t offered_ = 0;  // sequence
  int64_t calls_ = 0;
  size_t open_ = 0;
};

}  // namespace hm::edge
