#include "cli/checks/check.h"
#include "cli/self_test.h"

namespace hm::cli {
namespace {

constexpr int64_t kUsualMs = 10'000;
constexpr int64_t kShortMs = 2'000;

Finding run(const Patient& patient) {
  if (!patient.status.edge || patient.status.ports.edge == 0)
    return {Severity::broken, "no edge to send a call through", "halton-meter start",
            Remedy::install};
  // Its row will hardly come before what holds rows up has ended; the check of the database names
  // it.
  const bool rows_wait =
      (!patient.database && patient.database.error().code == Code::busy) ||
      (patient.status.daemon && patient.status.daemon->number("store.healthy") == 0);
  const auto result = run_self_test({.edge_port = patient.status.ports.edge,
                                     .bundle = patient.context.home.bundle(),
                                     .database = patient.context.home.database(),
                                     .limit_ms = rows_wait ? kShortMs : kUsualMs});
  if (!result) return {Severity::broken, result.error(), "halton-meter restart", Remedy::install};
  return fine("a call through the edge became a row after " +
              std::to_string(result->row_us / 1000) + " ms");
}

}  // namespace

const Check kRealCallCheck = {"real-call", "a real call", run};

}  // namespace hm::cli
