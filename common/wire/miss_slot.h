// The form of a ledger, in memory and on a disk: a head of one page and 4096 entries of 512 bytes.
// Every store of an entry may be the last of its process: see the order in fill().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/wire/miss.h"

namespace hm::wire {

// One entry, in place. `state` is stored last, so that a process may die between any two stores.
struct MissSlot {
  // NOLINTBEGIN(readability-identifier-naming): read as MissSlot::open, like those of a scoped one
  enum State : uint32_t {
    free = 0,
    open = 0x4e45504f,  // "OPEN": the call is under way
    done = 0x454e4f44,  // "DONE"
  };
  // NOLINTEND(readability-identifier-naming)
  uint32_t state;
  uint32_t check;  // of what never changes: from `origin` to `call_id`
  uint64_t origin;
  int64_t number;
  int64_t at_us;
  int64_t client_port;
  char host[256];
  char reason[40];
  char call_id[40];
  // These change.
  int64_t count;
  int64_t bytes_up;
  int64_t bytes_down;
  int64_t duration_us;
  uint32_t offered;  // an interceptor has seen it: it keeps its name and is not summed any more
  uint32_t cut;      // its process died before the call was over
  char unused[96];

  void fill(const Miss& miss, State as);
  void set_numbers(const Miss& miss);
  void set_state(State to) { std::atomic_ref(state).store(to, std::memory_order_release); }
  [[nodiscard]] Miss miss() const;  // without a sequence
  [[nodiscard]] std::string call() const;
  [[nodiscard]] bool whole() const;
  // Of a process that is dead: an open entry becomes `done` and is marked as cut, a damaged one is
  // counted under a reason of its own. Idempotent. False: nothing was to be done.
  bool recover(int64_t now_us);
  void count_as_damaged(int64_t now_us);  // what it said is not known: one call of somebody's
};
static_assert(sizeof(MissSlot) == 512);

struct LedgerLayout {
  static constexpr uint64_t kMagic = 0x3152474c'4d48;  // "HMLGR1"
  static constexpr size_t kSlots = 4096;
  static constexpr size_t kPage = 4096;

  uint64_t magic;
  // A merge under way: written whole before `merging` is set, applied again if the process died in
  // between.
  uint32_t merging;
  uint32_t into;
  uint32_t from;
  uint32_t merges;  // begun so far: a copy that was made meanwhile is made again
  int64_t count, bytes_up, bytes_down, duration_us;
  char unused[kPage - 56];
  MissSlot slots[kSlots];

  // `into` gets the sum and `from` becomes free, both or neither.
  void merge(size_t into_slot, size_t from_slot, const Miss& sum);
  bool apply_merge();  // one that was interrupted; false: there is none
};
static_assert(sizeof(LedgerLayout) ==
              LedgerLayout::kPage + LedgerLayout::kSlots * sizeof(MissSlot));

}  // namespace hm::wire
