#include "common/wire/ledger_folders.h"

#include "common/base/memory_folder.h"

namespace hm::wire {

LedgerFolders ledger_folders(const Home& home, const RunPlace& place) {
  // Earlier versions kept a ledger in the run folder, when the home's disk was full.
  return {memory_folders(home.root()), {home.root(), place.edge_socket.parent_path()}};
}

}  // namespace hm::wire
