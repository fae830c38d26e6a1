// Stored bodies (table request_bodies): how much there is, and their removal. Works beside a
// running writer: deletes in small transactions. Blocks (disk).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace hm::store {

struct BodyCount {
  std::string project;    // slug
  std::string direction;  // request, response
  int64_t count = 0;
  int64_t bytes = 0;           // as stored
  int64_t original_bytes = 0;  // before they were cut
  int64_t truncated = 0;
  int64_t redactions = 0;  // secrets that were masked
};

struct BodyStats {
  std::vector<BodyCount> groups;  // by project and direction
  std::optional<int64_t> oldest_us;
  std::optional<int64_t> newest_us;
  int64_t database_bytes = 0;
  int64_t free_bytes = 0;  // inside the file; a vacuum gives them back
};

// not_found: there is no database yet.
[[nodiscard]] Result<BodyStats> body_stats(const std::filesystem::path& database);

// Those older than that (all without it). With dry_run it only counts.
struct PurgedBodies {
  int64_t count = 0;
  int64_t bytes = 0;
};
[[nodiscard]] Result<PurgedBodies> purge_bodies(const std::filesystem::path& database,
                                                std::optional<int64_t> before_us, bool dry_run);

// Rewrites the file without its free space. Blocks every writer as long as it runs; needs as much
// free disk as the file has. busy: somebody else is reading or writing.
[[nodiscard]] Result<void> vacuum(const std::filesystem::path& database);

}  // namespace hm::store
