// The read-only connection of everything that shows. Inside this folder only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <filesystem>
#include <memory>

#include "common/base/result.h"

namespace hm::store {

// Of a database that may be read, as far as the file system says. not_found: nothing was written to
// it yet; all else (a folder we may not enter, say) is no empty database.
[[nodiscard]] Result<uintmax_t> size_of_database(const std::filesystem::path& path,
                                                 const char* where);

// not_found: there is no database yet. malformed: it is not ours, or damaged.
[[nodiscard]] Result<std::unique_ptr<SQLite::Database>> open_read_only(
    const std::filesystem::path& path);

}  // namespace hm::store
