#include <sys/statvfs.h>

#include "cli/checks/check.h"
#include "cli/env_files.h"
#include "cli/log_lines.h"
#include "cli/text.h"
#include "common/config/last_good.h"

namespace hm::cli {
namespace {

constexpr int64_t kMiB = 1024 * 1024;
constexpr int64_t kLittle = 200 * kMiB;
constexpr int64_t kNone = 10 * kMiB;

Finding run(const Patient& patient) {
  const Home& home = patient.context.home;
  struct statvfs info{};
  if (::statvfs(home.root().c_str(), &info) != 0) return skipped("there is no folder yet");
  const auto free = static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
  int64_t logs = 0;
  std::string old_logs;
  for (const auto& log : {home.edge_log(), home.daemon_log()})
    for (const auto& file : rotated_files(log)) {
      std::error_code ignored;
      const auto size = std::filesystem::file_size(file, ignored);
      if (!ignored) logs += static_cast<int64_t>(size);
      if (!ignored && file != log) old_logs += " " + shell_quoted(file.string(), false);
    }
  const std::string text =
      thousands(free / kMiB) + " MiB free, logs " + thousands(logs / kMiB) + " MiB";
  // Deleting rows and bodies takes room itself, and rewriting the file as much again as it has.
  if (free < kNone)
    return {Severity::broken,
            "the disk is full: " + text +
                ". With room again, halton-meter bodies purge --vacuum gives back what bodies take",
            old_logs.empty() ? "du -ah " + shell_quoted(home.root().parent_path().string(), false) +
                                   " 2>/dev/null | sort -h | tail"
                             : "rm" + old_logs};
  if (free < kLittle) {
    const bool room = !patient.database || 2 * patient.database->bytes < free;
    return {Severity::inconsistent, "the disk is nearly full: " + text,
            room ? "halton-meter bodies purge --vacuum" : "halton-meter bodies purge"};
  }
  // Two processes keep three files each.
  const int64_t allowed = 2 * 3 * config::load_in_force(home.config()).config.log.max_bytes;
  if (logs > allowed + allowed / 2)
    return {Severity::note,
            "the logs take " + thousands(logs / kMiB) + " MiB, and [log] max_bytes allows " +
                thousands(allowed / kMiB) + " MiB: they are not rotated, or it was more before",
            old_logs.empty() ? "halton-meter restart" : "rm" + old_logs};
  return fine(text);
}

}  // namespace

const Check kDiskCheck = {"disk", "disk", run};

}  // namespace hm::cli
