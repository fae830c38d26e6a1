// The read-only connection of everything that shows. Inside this folder only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <memory>

#include "common/base/result.h"

namespace hm::store {

// not_found: there is no database yet. malformed: it is not ours, or damaged.
[[nodiscard]] Result<std::unique_ptr<SQLite::Database>> open_read_only(
    const std::filesystem::path& path);

}  // namespace hm::store
