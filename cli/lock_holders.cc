#include "cli/lock_holders.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <set>
#include <sstream>

#include "cli/text.h"
#include "common/base/fs.h"
#include "common/base/process_stat.h"

namespace hm::cli {

std::vector<FileLock> parse_locks(std::string_view text) {
  std::vector<FileLock> locks;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    // "1: POSIX  ADVISORY  WRITE 708 08:01:3965 120 120"; "1: -> POSIX ..." waits for the one above
    std::istringstream words(line);
    std::string number, kind, mode, access, place;
    FileLock lock;
    if (!(words >> number >> kind >> mode >> access >> lock.pid >> place)) continue;
    lock.write = access == "WRITE";
    if (std::sscanf(place.c_str(), "%x:%x:%llu", &lock.major, &lock.minor, &lock.inode) == 3)
      locks.push_back(lock);
  }
  return locks;
}

std::string describe(const LockHolder& holder) {
  return holder.name + " (PID " + std::to_string(holder.pid) + ")";
}

std::vector<LockHolder> database_lock_holders(const std::filesystem::path& database, pid_t own) {
  std::vector<LockHolder> holders;
  const auto text = read_file("/proc/locks", 16 * 1024 * 1024);
  if (!text) return holders;
  const auto locks = parse_locks(*text);
  std::set<pid_t> seen{0, own};
  for (const char* suffix : {"", "-shm", "-wal"}) {
    struct stat info{};
    if (::stat((database.string() + suffix).c_str(), &info) != 0) continue;
    for (const FileLock& lock : locks) {
      if (!lock.write || lock.inode != info.st_ino || lock.major != major(info.st_dev) ||
          lock.minor != minor(info.st_dev) || !seen.insert(lock.pid).second)
        continue;
      const auto stat = read_process_stat(lock.pid);
      holders.push_back({lock.pid, stat ? printable(stat->command) : "a process"});
    }
  }
  return holders;
}

}  // namespace hm::cli
