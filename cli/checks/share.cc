#include "cli/checks/check.h"
#include "cli/period.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  const auto share = patient.status.share.per_mille();
  if (!share) {
    return {Severity::note, "no call in the last 24 hours",
            "halton-meter run -- TOOL, and make a call"};
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
