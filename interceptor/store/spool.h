// Rows that could not be written, in a file of their own until they can: one file per stop, each
// row with a length and a checksum. Functions block; the writer's thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "interceptor/call_record.h"

namespace hm::store {

struct SpooledRows {
  std::vector<CallRecord> calls;
  std::vector<MissRecord> misses;
  bool damaged = false;  // something behind these rows was cut off or is not ours
};

// "rows-<wall_us>-<pid>.spool" in `folder` (made when it is missing), 0600, synced before it has
// its name. Returns the name.
[[nodiscard]] Result<std::string> write_spool(const std::filesystem::path& folder, int64_t wall_us,
                                              const std::vector<CallRecord>& calls,
                                              const std::vector<MissRecord>& misses);

[[nodiscard]] std::vector<std::filesystem::path> list_spool(const std::filesystem::path& folder);

// Everything up to the first damage. malformed: not a spool file of this version at all.
[[nodiscard]] Result<SpooledRows> read_spool(const std::filesystem::path& file);

}  // namespace hm::store
