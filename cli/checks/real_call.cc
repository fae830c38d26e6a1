#include "cli/checks/check.h"
#include "cli/self_test.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  if (!patient.status.edge || patient.status.ports.edge == 0)
    return {Severity::broken, "no edge to send a call through", "halton-meter start",
            Remedy::install};
  const auto result = run_self_test({.edge_port = patient.status.ports.edge,
                                     .bundle = patient.context.home.bundle(),
                                     .database = patient.context.home.database()});
  if (!result) return {Severity::broken, result.error(), "halton-meter restart", Remedy::install};
  return fine("a call through the edge became a row after " +
              std::to_string(result->row_us / 1000) + " ms");
}

}  // namespace

const Check kRealCallCheck = {"real-call", "a real call", run};

}  // namespace hm::cli
