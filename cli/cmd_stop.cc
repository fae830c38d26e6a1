// `stop` and `restart`: what ends the interceptor on purpose.
#include "cli/command.h"
#include "cli/installer.h"
#include "cli/pair_service.h"
#include "cli/pair_state.h"
#include "cli/steps.h"

namespace hm::cli {
namespace {

constexpr int64_t kStopLimitMs = 45'000;
constexpr int64_t kHealthLimitMs = 60'000;

int no_service(Context& context, const PairService& service, std::string_view command) {
  if (service.units_installed() && !service.systemd().usable()) {
    *context.err << unreachable_text(service.systemd(), context);
    return kEnvironment;
  }
  *context.err << "halton-meter " << command
               << ": nothing is installed, and halton-meter start --foreground is not running.\n"
                  "What to do: halton-meter init\n";
  return kNotWell;
}

int run_stop(Context& context, const Flags&) {
  const PairService service(context);
  if (service.keeper() == Keeper::nobody) return no_service(context, service, "stop");
  Steps steps(context, 1);
  steps.begin("interceptor");
  std::string problem = service.stop_daemon();
  if (problem.empty() && !service.wait_daemon_gone(kStopLimitMs))
    problem = "it still takes calls after " + std::to_string(kStopLimitMs / 1000) + " s";
  if (!problem.empty()) {
    steps.failed(problem, "halton-meter logs daemon --since 5m; halton-meter rescue");
    return kNotWell;
  }
  const auto status = StatusAnswer::ask(context.place.daemon_socket);
  const int64_t open = status ? status->number("sessions").value_or(0) : 0;
  steps.done(open == 0 ? "stopped"
                       : "stopped; " + std::to_string(open) + " open calls are being finished");
  *context.err << "The edge stays: calls pass through it unmetered, and are counted as such.\n"
                  "halton-meter start goes on metering; halton-meter uninstall removes the edge.\n";
  return kFine;
}

int run_restart(Context& context, const Flags&) {
  const PairService service(context);
  if (service.keeper() == Keeper::nobody) return no_service(context, service, "restart");
  Steps steps(context, 2);
  steps.begin("restart");
  if (const std::string problem = service.restart(); !problem.empty()) {
    steps.failed(problem, "halton-meter doctor");
    return kNotWell;
  }
  steps.done("open calls were given time to end");
  steps.begin("health");
  if (const std::string problem = service.wait_healthy(kHealthLimitMs); !problem.empty()) {
    steps.failed(problem + its_log_ends_with(context.home.daemon_log()), "halton-meter doctor");
    return kNotWell;
  }
  refresh_session_environment(context);
  steps.done("metering");
  return kFine;
}

}  // namespace

const Command kStopCommand = {
    .name = "stop",
    .summary = "stop metering; calls pass through",
    .operands = "",
    .about =
        "Stops the interceptor, after its open calls. The edge stays up, so that tools which "
        "carry\n"
        "its address go on working: their calls are tunnelled unmetered and counted.\n",
    .example = "  halton-meter stop\n",
    .flags = {},
    .parsing = Command::Parsing::own,
    .run = run_stop,
};

const Command kRestartCommand = {
    .name = "restart",
    .summary = "restart both processes, draining open calls",
    .operands = "",
    .about =
        "Restarts edge and interceptor, so that config.toml and new binaries take effect. Open "
        "calls\n"
        "are given time to end; new ones pass unmetered meanwhile.\n",
    .example = "  halton-meter restart\n",
    .flags = {},
    .parsing = Command::Parsing::own,
    .run = run_restart,
};

}  // namespace hm::cli
