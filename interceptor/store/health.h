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
  std::string problem;       // what quick_check found; empty: nothing
  int64_t newest_us = 0;     // wall time of the newest row
  int64_t long_streams = 0;  // streamed answers of the last 24 hours that took over two seconds
  int64_t held_streams = 0;  // of these: the first byte came when nine tenths of the time was over
};

// not_found, busy, malformed, permission as Queries::open() says.
[[nodiscard]] Result<DatabaseHealth> database_health(const std::filesystem::path& database,
                                                     int64_t now_us);

}  // namespace hm::store
