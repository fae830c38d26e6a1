// The read-write connection: opening, migrating, moving a broken file aside. Inside this folder
// only; used by the writer's thread.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <memory>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace hm::store {

// Opens `path` (made with mode 0600 when it is missing) and brings it up to date. A file that is
// damaged, or that is a database of somebody else, is renamed first (NAME.corrupt-DATE,
// NAME.other-DATE) and a new one is made; that is logged as store.moved_aside.
struct OpenedDatabase {
  std::unique_ptr<SQLite::Database> db;
  std::filesystem::path moved_to;  // where the file went that was there before; else empty
};
[[nodiscard]] Result<OpenedDatabase> open_database(const std::filesystem::path& path,
                                                   std::chrono::milliseconds busy_timeout,
                                                   const Clock& clock);

// A writer beside the one of the interceptor, for commands: opens what is there, brings its tables
// up to date and never moves or makes a file. not_found: nothing is there. malformed: not ours.
// refused: a newer version wrote it.
[[nodiscard]] Result<std::unique_ptr<SQLite::Database>> open_second_writer(
    const std::filesystem::path& path, std::chrono::milliseconds busy_timeout, const Clock& clock);

// Renames the database with its -wal and -shm; returns the new name. No connection may be open.
[[nodiscard]] Result<std::filesystem::path> move_aside(const std::filesystem::path& path,
                                                       const char* word, const Clock& clock);

// The file at a path, so that one can tell whether it is still the same one. Inode 0: there is
// none.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
[[nodiscard]] FileIdentity identity_of(const std::filesystem::path& path);

}  // namespace hm::store
