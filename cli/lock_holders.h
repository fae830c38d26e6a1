// Who holds a file lock, from /proc/locks. Blocks. Processes of other users are seen, too.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace hm::cli {

struct FileLock {
  pid_t pid = 0;
  unsigned major = 0;
  unsigned minor = 0;
  unsigned long long inode = 0;
  bool write = false;
};
// Lines of /proc/locks that hold a lock; those that wait for one are left out. Pure.
[[nodiscard]] std::vector<FileLock> parse_locks(std::string_view proc_locks);

struct LockHolder {
  pid_t pid = 0;
  std::string name;  // printable
};
[[nodiscard]] std::string describe(const LockHolder& holder);  // "python3 (PID 4711)"

// Every process that has an exclusive lock on one of SQLite's files of this database, but `own`.
[[nodiscard]] std::vector<LockHolder> database_lock_holders(const std::filesystem::path& database,
                                                            pid_t own);

}  // namespace hm::cli
