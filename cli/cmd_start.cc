#include <array>

#include "cli/child_process.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/installer.h"
#include "cli/pair_service.h"
#include "cli/pair_state.h"
#include "cli/settings.h"
#include "cli/steps.h"
#include "cli/supervisor.h"
#include "cli/text.h"
#include "cli/trust_files.h"
#include "cli/usable_home.h"

namespace hm::cli {
namespace {

constexpr int64_t kHealthLimitMs = 30'000;

int unhealthy(Context& context, const std::string& missing) {
  const std::string complaint = last_complaint(context.home.daemon_log());
  *context.err << "halton-meter start: " << missing
               << (complaint.empty() ? "" : "; the interceptor's log ends with " + complaint)
               << "\nWhat to do: halton-meter doctor\n";
  return kNotWell;
}

int report(Context& context, const PairService& service, bool quiet) {
  if (const std::string missing = service.wait_healthy(kHealthLimitMs); !missing.empty())
    return unhealthy(context, missing);
  refresh_session_environment(context);
  const BoundPorts ports = bound_ports(context.place).value_or(BoundPorts{});
  if (quiet) {
    *context.err << "halton-meter: metering at 127.0.0.1:" << ports.edge << "\n";
    return kFine;
  }
  Table table({{"component"}, {"state"}, {"detail"}});
  table.add({"edge", "healthy", "127.0.0.1:" + std::to_string(ports.edge)});
  table.add({"interceptor", "healthy", "127.0.0.1:" + std::to_string(ports.internal)});
  table.add({"api", "healthy", "127.0.0.1:" + std::to_string(ports.api)});
  *context.err << table.text(context.style);
  return kFine;
}

// Somebody answers already: a second pair would be in its way.
bool runs_already(Context& context, const PairService& service) {
  if (service.supervisor() != 0) {
    *context.err << "halton-meter start: a supervisor is running already (PID "
                 << service.supervisor() << "; kill " << service.supervisor()
                 << " ends it).\nWhat to do: halton-meter restart\n";
    return true;
  }
  for (const auto& socket : {context.place.edge_socket, context.place.daemon_socket}) {
    const auto status = StatusAnswer::ask(socket);
    if (!status) continue;
    *context.err << "halton-meter start: the " << printable(status->text("process"))
                 << " is running already (PID " << status->number("pid").value_or(0) << ").\n"
                 << (service.units_installed()
                         ? "It belongs to the services.\nWhat to do: halton-meter start\n"
                         : "What to do: end it, then start again\n");
    return true;
  }
  return false;
}

int run_detached(Context& context, bool quiet) {
  SignalLine signals;
  ProcessPlan plan;
  plan.program = context.program_folder / "halton-meter";
  plan.words = {plan.program.string(), "start", "--foreground"};
  plan.environment = context.environment;
  plan.background = true;
  const auto child = start_process(plan, signals);
  if (!child) {
    *context.err << "halton-meter start: " << describe(child.error()) << "\n";
    return kEnvironment;
  }
  return report(context, PairService(context), quiet);
}

// What `init` does for services: clients of `env` need the bundle. What fails is told; calls are
// not in need of it.
void make_certificates(Context& context) {
  const auto made = ensure_certificates(context, load_settings(context));
  if (!made)
    *context.err << "halton-meter start: no certificates for clients (" << describe(made.error())
                 << ").\nWhat to do: halton-meter setup\n";
}

int run(Context& context, const Flags& flags) {
  if (flags.has("foreground") && flags.has("detach"))
    return usage_error(context, "start", "--foreground and --detach exclude each other");
  const PairService service(context);
  const bool quiet = flags.has("quiet");
  if (flags.has("foreground") || flags.has("detach")) {
    if (runs_already(context, service)) return kNotWell;
    if (const std::string problem = unusable_home(context.home); !problem.empty()) {
      *context.err << "halton-meter start: " << problem << ".\nWhat to do: " << kOtherHome << "\n";
      return kEnvironment;
    }
    if (flags.has("detach")) return run_detached(context, quiet);
    make_certificates(context);
    return Supervisor(context).run();
  }
  if (service.keeper() == Keeper::nobody) {
    if (service.units_installed() || !service.systemd().usable()) {
      *context.err << unreachable_text(service.systemd(), context);
      return kEnvironment;
    }
    *context.err << "halton-meter start: nothing is installed; without an installation: "
                    "halton-meter start --foreground\nWhat to do: halton-meter init\n";
    return kNotWell;
  }
  if (const std::string problem = service.start(); !problem.empty())
    return unhealthy(context, problem);
  return report(context, service, quiet);
}

constexpr std::array kFlags = {
    FlagSpec{"quiet", "", "one line instead of a table"},
    FlagSpec{"foreground", "", "without systemd: supervise both processes from here"},
    FlagSpec{"detach", "", "the same in the background"},
};

}  // namespace

const Command kStartCommand = {
    .name = "start",
    .summary = "start metering",
    .operands = "",
    .about =
        "Starts the services and waits until calls would be metered. Where there is no systemd (a\n"
        "container, WSL), --foreground and --detach keep both processes running instead: ended "
        "ones\n"
        "are started again, the edge's socket stays open meanwhile. SIGTERM or Ctrl-C ends both.\n",
    .example = "  halton-meter start --quiet\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
