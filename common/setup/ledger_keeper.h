// Sees to it that a ledger outlives what it can: the process, by a file in memory, which it moves
// into as soon as there is one; and the machine, by a copy in the home, made once a second when
// something has changed. All of that happens on the pool; a disk that hangs stops the copying, and
// nothing else. Loop thread.
#pragma once

#include <cstdint>
#include <memory>

#include "common/base/fs.h"
#include "common/net/work.h"
#include "common/wire/miss_file.h"

namespace hm::wire {
class LedgerCopy;
}

namespace hm::setup {

class LedgerKeeper {
 public:
  LedgerKeeper(net::Loop& loop, Home home, RunPlace place, wire::LedgerKind kind,
               wire::MissFile& file);
  ~LedgerKeeper();

  void pulse();  // once a second
  // The loop is over. What is in the ledger must be found by others: copies it a last time.
  // Otherwise all of it goes. Blocks.
  void close(bool needed);

 private:
  struct Copying;

  void make();
  void make_copying();
  void copy();

  const Home home_;
  const RunPlace place_;
  const wire::LedgerKind kind_;
  wire::MissFile& file_;
  net::Work work_;
  std::shared_ptr<Copying> copying_;
  uint64_t copied_ = 0;  // changes of the file
  bool told_ = false;    // that copying fails
};

}  // namespace hm::setup
