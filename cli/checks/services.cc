#include <charconv>

#include "cli/checks/check.h"
#include "cli/init_command.h"
#include "cli/pair_service.h"
#include "cli/restarts.h"

namespace hm::cli {
namespace {

constexpr int64_t kManyRestarts = 3;

// ", its last run ended with code 7", or nothing: what cannot start may not come as far as a log.
std::string last_end(const Patient& patient, std::string_view unit) {
  const std::string code = patient.systemd.property(unit, "ExecMainStatus");
  return code.empty() || code == "0" ? std::string() : ", its last run ended with code " + code;
}

int64_t number_of(const Patient& patient, std::string_view unit, std::string_view property) {
  const std::string text = patient.systemd.property(unit, property);
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

int64_t restarts_of(const Patient& patient, std::string_view unit,
                    const std::filesystem::path& log) {
  Restarts restarts{.all = number_of(patient, unit, "NRestarts")};
  if (restarts.all <= kManyRestarts) return 0;
  const Clock& clock = *patient.context.clock;
  const int64_t since_us = number_of(patient, unit, "ActiveEnterTimestampMonotonic");
  restarts.active_for_us = since_us == 0 ? -1 : clock.steady_us() - since_us;
  restarts.logged =
      starts_in_log(log, unit == kEdgeUnit ? "edge" : "daemon", clock.wall_us() - kLatelyUs);
  return restarts_lately(restarts);
}

Finding run(const Patient& patient) {
  if (!patient.has_units || !patient.systemd.usable()) {
    if (patient.status.edge && patient.status.daemon) return fine("both processes run");
    if (patient.has_units) return skipped("cannot be asked");
    return {Severity::broken, "neither installed nor running", init_command(patient.mode)};
  }
  std::string text;
  for (const auto& [unit, log] : {std::pair(kEdgeUnit, patient.context.home.edge_log()),
                                  std::pair(kDaemonUnit, patient.context.home.daemon_log())}) {
    const std::string state = patient.systemd.state(unit);
    if (state == "failed")
      return {Severity::broken,
              std::string(unit) + " was given up on (" + patient.systemd.property(unit, "Result") +
                  ", started too often)" + last_end(patient, unit) + its_log_ends_with(log),
              "halton-meter rescue", Remedy::install};
    if (state == "activating" || state == "auto-restart")
      return {
          Severity::broken,
          std::string(unit) + " does not get up" + last_end(patient, unit) + its_log_ends_with(log),
          "halton-meter logs --since 5m"};
    if (state != "active")
      return {Severity::broken, std::string(unit) + " is " + state, "halton-meter start",
              Remedy::install};
    if (const int64_t count = restarts_of(patient, unit, log); count > kManyRestarts)
      return {Severity::inconsistent,
              std::string(unit) + " was started again " + std::to_string(count) +
                  " times in the last hour" + last_end(patient, unit) + its_log_ends_with(log),
              "halton-meter logs --since 1h"};
    text += (text.empty() ? "" : ", ") + std::string(unit) + " active";
  }
  // Not in service of the moment, but of the next login.
  for (const char* unit : {kEdgeUnit, kDaemonUnit})
    if (patient.systemd.property(unit, "UnitFileState") == "disabled")
      return {Severity::inconsistent,
              std::string(unit) + " runs, and is disabled: it will not start at your next login",
              "systemctl --user enable halton-meter-edge halton-meter", Remedy::install};
  return fine(text);
}

}  // namespace

const Check kServicesCheck = {"services", "services", run};

}  // namespace hm::cli
