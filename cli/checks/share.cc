#include "cli/checks/check.h"
#include "cli/period.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  const auto share = patient.status.share.per_mille();
  if (!share) {
    const int64_t others =
        patient.status.edge ? patient.status.edge->number("edge.raw_other_host").value_or(0) : 0;
    if (others > 0)
      return {Severity::note,
              "no call in the last 24 hours, but " + thousands(others) +
                  " connections to hosts that are not metered",
              "if one of them is a provider, add it to " + patient.context.home.config().string() +
                  " (docs/config.md, providers)"};
    return {Severity::note, "no call in the last 24 hours",
            "make a call with: halton-meter run -- TOOL"};
  }
  const std::string text = per_mille_text(share) + " of the calls of 24 hours metered";
  if (patient.status.share.missed == 0) return fine(text);
  return {Severity::note,
          text + ", " + thousands(patient.status.share.missed) + " not; report says why",
          "halton-meter report --since 1d"};
}

}  // namespace

const Check kShareCheck = {"share", "metered share", run};

}  // namespace hm::cli
