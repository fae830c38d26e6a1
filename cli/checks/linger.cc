#include "cli/checks/check.h"
#include "cli/user_places.h"

namespace hm::cli {
namespace {

// A note: who sits at the machine is logged in while tools run.
Finding run(const Patient& patient) {
  if (!patient.has_units) return skipped("no services are installed");
  if (lingers(patient.context)) return fine("the services stay after the last logout");
  return {Severity::note, "the services end with your last session (lingering is off)",
          "sudo loginctl enable-linger " + user_name(patient.context.environment)};
}

}  // namespace

const Check kLingerCheck = {"linger", "lingering", run};

}  // namespace hm::cli
