// Where ledgers lie. The file of a living process is in memory (tmpfs), since a loop writes to it;
// a thread copies what has changed to a file of the same name in the home, for the day when the
// memory is gone. A file on a disk whose namesake is in memory is therefore only a copy; one
// without is what is left, and counts.
#pragma once

#include "common/base/fs.h"

namespace hm::wire {

struct LedgerFolders {
  Folders memory;  // best first
  Folders disk;    // copies go into the first; all are looked through
};

// Makes the folders in memory when they are missing. Blocks shortly.
[[nodiscard]] LedgerFolders ledger_folders(const Home& home, const RunPlace& place);

}  // namespace hm::wire
