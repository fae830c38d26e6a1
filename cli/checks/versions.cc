#include "cli/checks/check.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  std::string running;
  for (const auto* process : {&patient.status.edge, &patient.status.daemon}) {
    if (!*process) continue;
    const std::string version = printable((*process)->text("version"));
    if (version != patient.context.version)
      return {Severity::inconsistent,
              "the " + printable((*process)->text("process")) + " that runs is version " + version +
                  ", this program is " + patient.context.version,
              "halton-meter restart", Remedy::install};
    running = version;
  }
  return running.empty() ? skipped("nothing runs") : fine("all are " + running);
}

}  // namespace

const Check kVersionsCheck = {"versions", "versions", run};

}  // namespace hm::cli
