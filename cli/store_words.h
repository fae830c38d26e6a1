// What `status` says about the store of the running daemon: what is wrong, in words, and the next
// step. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/pair_state.h"

namespace hm::cli {

struct StoreWords {
  std::string state;               // "locked", "disk full", ...; empty: well
  std::string detail;              // since when, how many rows wait and where
  std::vector<std::string> hints;  // next steps; also when it is well and something has happened
};

[[nodiscard]] StoreWords store_words(const StatusAnswer& daemon, const std::string& database);

}  // namespace hm::cli
