#include <charconv>

#include "cli/checks/check.h"
#include "cli/init_command.h"
#include "cli/pair_service.h"

namespace hm::cli {
namespace {

constexpr int kManyRestarts = 3;
constexpr int64_t kCalmUs = int64_t{3'600} * 1'000'000;

// ", its last run ended with code 7", or nothing: what cannot start may not come as far as a log.
std::string last_end(const Patient& patient, std::string_view unit) {
  const std::string code = patient.systemd.property(unit, "ExecMainStatus");
  return code.empty() || code == "0" ? std::string() : ", its last run ended with code " + code;
}

// systemd counts until the unit is stopped or started by hand: what has run well for an hour is no
// loop any more. Not known: it is.
bool is_recent(const Patient& patient, std::string_view unit) {
  const std::string text = patient.systemd.property(unit, "ActiveEnterTimestampMonotonic");
  int64_t since_us = 0;
  std::from_chars(text.data(), text.data() + text.size(), since_us);
  return since_us == 0 || patient.context.clock->steady_us() - since_us < kCalmUs;
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
    const std::string count = patient.systemd.property(unit, "NRestarts");
    int restarts = 0;
    std::from_chars(count.data(), count.data() + count.size(), restarts);
    if (restarts > kManyRestarts && is_recent(patient, unit))
      return {Severity::inconsistent,
              std::string(unit) + " was started again " + count + " times" + " lately" +
                  last_end(patient, unit) + its_log_ends_with(log),
              "halton-meter logs --since 1h"};
    text += (text.empty() ? "" : ", ") + std::string(unit) + " active";
  }
  return fine(text);
}

}  // namespace

const Check kServicesCheck = {"services", "services", run};

}  // namespace hm::cli
