#include <array>

#include "cli/command.h"
#include "cli/status.h"

namespace hm::cli {
namespace {

int run(Context& context, const Flags& flags) {
  const StatusFacts facts = gather_status(context);
  const StatusReport report = judge_status(facts);
  *context.out << (flags.has("json") ? status_json(facts, report, context.version)
                                     : status_text(report, context));
  return report.verdict == Verdict::healthy ? kFine : kNotWell;
}

constexpr std::array kFlags = {
    FlagSpec{"json", "", "the same as one JSON object"},
};

}  // namespace

const Command kStatusCommand = {
    .name = "status",
    .summary = "is it running, and does it meter?",
    .operands = "",
    .about =
        "Asks the edge and the daemon and looks at the database. The first line says HEALTHY,\n"
        "DEGRADED or DOWN; the exit code is 0 when it is healthy, else 1.\n",
    .example = "  halton-meter status --json\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
