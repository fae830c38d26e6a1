#include "cli/checks/check.h"
#include "cli/env_files.h"
#include "cli/lock_holders.h"
#include "cli/plain_words.h"
#include "cli/text.h"
#include "interceptor/store/bodies.h"
#include "interceptor/store/health.h"

namespace hm::cli {
namespace {

// Ends whoever it is; unknown: shows who.
std::string end_holders(const std::vector<LockHolder>& holders, const std::filesystem::path& file) {
  std::string pids;
  for (const LockHolder& holder : holders) pids += " " + std::to_string(holder.pid);
  return pids.empty() ? "lsof " + shell_quoted(file.string(), false) : "kill" + pids;
}

std::string named(const std::vector<LockHolder>& holders) {
  std::string all;
  for (const LockHolder& holder : holders) all += (all.empty() ? " (by " : ", ") + describe(holder);
  return all.empty() ? all : all + ")";
}

Finding run(const Patient& patient) {
  const auto& file = patient.context.home.database();
  const auto& health = patient.database;
  const auto own = static_cast<pid_t>(
      patient.status.daemon ? patient.status.daemon->number("pid").value_or(0) : 0);
  // Looked at once more when it was found locked: whoever it is holds on.
  if (!health && health.error().code == Code::busy) {
    const auto holders = database_lock_holders(file, own);
    return {Severity::inconsistent,
            "another program has the database locked" + named(holders) +
                "; rows wait, and are written when it has ended",
            end_holders(holders, file)};
  }
  if (!health) {
    if (health.error().code == Code::not_found) return skipped("there is none yet");
    const std::string problem = file.string() + " cannot be read: " + in_words(health.error());
    const std::string home = shell_quoted(file.parent_path().string(), false);
    if (health.error().code == Code::permission)
      return {Severity::broken, problem,
              "sudo chown -R $USER " + home + " && chmod -R u+rwX " + home};
    std::error_code ignored;
    if (std::filesystem::is_directory(file, ignored))
      return {Severity::broken, problem,
              "mv " + shell_quoted(file.string(), false) + " " +
                  shell_quoted(file.string() + ".aside", false)};
    return {Severity::broken,
            problem + "; at a restart a damaged file is put aside, and a new one begun",
            "halton-meter restart"};
  }
  if (!health->problem.empty())
    return {Severity::broken,
            "the database is damaged: " + printable(health->problem) +
                "; a copy first, then a restart, which puts it aside when it cannot be used",
            "cp " + shell_quoted(file.string(), false) + " " +
                shell_quoted(file.string() + ".copy", false) + " && halton-meter restart"};
  if (patient.status.daemon && patient.status.daemon->number("store.healthy") == 0) {
    const auto holders = database_lock_holders(file, own);
    return {Severity::broken,
            "rows cannot be written and wait: " +
                printable(patient.status.daemon->text("store.error")) + named(holders),
            holders.empty() ? "df -h " + shell_quoted(file.parent_path().string(), false)
                            : end_holders(holders, file)};
  }
  if (!health->wal)
    return {Severity::inconsistent, "the database is not in WAL mode: readers block the writer",
            "halton-meter restart"};
  return fine(thousands(health->rows) + " rows, " + thousands(health->bytes / 1024) +
              " KiB, sound");
}

}  // namespace

const Check kDatabaseCheck = {"database", "database", run};

}  // namespace hm::cli
