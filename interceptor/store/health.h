// How a database file is, read-only. Blocks (quick_check reads all of it).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "common/base/result.h"

namespace hm::store {

struct DatabaseHealth {
  bool wal = false;
  int64_t rows = 0;
  int64_t bytes = 0;
  std::string problem;  // what quick_check found; empty: nothing
};

// not_found, busy, malformed, permission as Queries::open() says.
[[nodiscard]] Result<DatabaseHealth> database_health(const std::filesystem::path& database);

}  // namespace hm::store
