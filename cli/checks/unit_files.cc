#include <unistd.h>

#include "cli/checks/check.h"
#include "cli/units.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  const Context& context = patient.context;
  if (!patient.has_units && !patient.mode) return skipped("not installed as services");
  for (const auto& [unit, unit_template] : {std::pair(kEdgeUnit, edge_unit_template()),
                                            std::pair(kDaemonUnit, daemon_unit_template())}) {
    const auto file = unit_file(context, unit);
    const auto text = read_file(file, 64 * 1024);
    if (!text)
      return {Severity::inconsistent, std::string(unit) + " is missing",
              "halton-meter doctor --fix --apply", Remedy::install};
    const std::string program = program_of_unit(*text);
    if (::access(program.c_str(), X_OK) != 0)
      return {Severity::broken, file.string() + " names " + program + ", which cannot be executed",
              "halton-meter doctor --fix --apply", Remedy::install};
    if (*text != unit_text(unit_template, context))
      return {Severity::inconsistent,
              file.string() + " is not the one of this version (it runs " + program + ")",
              "halton-meter doctor --fix --apply", Remedy::install};
  }
  return fine("both are there and current");
}

}  // namespace

const Check kUnitFilesCheck = {"unit-files", "unit files", run};

}  // namespace hm::cli
