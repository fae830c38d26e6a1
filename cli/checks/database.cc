#include "cli/checks/check.h"
#include "cli/lock_holders.h"
#include "cli/text.h"
#include "interceptor/store/bodies.h"
#include "interceptor/store/health.h"

namespace hm::cli {
namespace {

// One sentence that can be copied for the most part, whoever it is.
std::string end_holders(const std::vector<std::string>& holders,
                        const std::filesystem::path& file) {
  std::string all;
  for (const std::string& holder : holders) all += (all.empty() ? "" : ", ") + holder;
  return all.empty() ? "lsof " + file.string() + ", and end what holds it" : "end " + all;
}

Finding run(const Patient& patient) {
  const auto& file = patient.context.home.database();
  const auto& health = patient.database;
  const auto own = static_cast<pid_t>(
      patient.status.daemon ? patient.status.daemon->number("pid").value_or(0) : 0);
  // Looked at once more when it was found locked: whoever it is holds on.
  if (!health && health.error().code == Code::busy)
    return {Severity::inconsistent, "another program has the database locked; rows wait",
            end_holders(database_lock_holders(file, own), file)};
  if (!health) {
    if (health.error().code == Code::not_found) return skipped("there is none yet");
    return {Severity::broken, file.string() + " cannot be read: " + describe(health.error()),
            "halton-meter restart (a damaged file is put aside, and a new one begun)"};
  }
  if (!health->problem.empty())
    return {Severity::broken, "the database is damaged: " + printable(health->problem),
            "halton-meter restart, and keep a copy of " + file.string()};
  if (patient.status.daemon && patient.status.daemon->number("store.healthy") == 0)
    return {
        Severity::broken,
        "rows cannot be written and wait: " + printable(patient.status.daemon->text("store.error")),
        end_holders(database_lock_holders(file, own), file) + "; df -h " +
            file.parent_path().string()};
  if (!health->wal)
    return {Severity::inconsistent, "the database is not in WAL mode: readers block the writer",
            "halton-meter restart"};
  return fine(thousands(health->rows) + " rows, " + thousands(health->bytes / 1024) +
              " KiB, sound");
}

}  // namespace

const Check kDatabaseCheck = {"database", "database", run};

}  // namespace hm::cli
