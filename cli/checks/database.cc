#include "cli/checks/check.h"
#include "cli/text.h"
#include "interceptor/store/bodies.h"
#include "interceptor/store/health.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  const auto& file = patient.context.home.database();
  const auto health = store::database_health(file);
  if (!health) {
    if (health.error().code == Code::not_found) return skipped("there is none yet");
    if (health.error().code == Code::busy)
      return {Severity::inconsistent, "another program has the database locked; rows wait",
              "lsof " + file.string() + ", and end what holds it"};
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
        "lsof " + file.string() + "; df -h " + file.parent_path().string()};
  if (!health->wal)
    return {Severity::inconsistent, "the database is not in WAL mode: readers block the writer",
            "halton-meter restart"};
  return fine(thousands(health->rows) + " rows, " + thousands(health->bytes / 1024) +
              " KiB, sound");
}

}  // namespace

const Check kDatabaseCheck = {"database", "database", run};

}  // namespace hm::cli
