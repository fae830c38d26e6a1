#include <array>

#include "cli/command.h"
#include "cli/init_command.h"
#include "cli/installer.h"
#include "cli/leftovers.h"
#include "cli/pair_service.h"
#include "cli/units.h"

namespace hm::cli {
namespace {

constexpr int64_t kPatienceMs = 3'000;

int run(Context& context, const Flags& flags) {
  if (flags.has("apps") && flags.has("no-apps"))
    return usage_error(context, "rescue", "--apps and --no-apps exclude each other");
  const auto before = installed_mode(context.home);
  const Systemd systemd(context);
  std::error_code ignored;
  const bool units = std::filesystem::exists(unit_file(context, kDaemonUnit), ignored) ||
                     std::filesystem::exists(unit_file(context, kEdgeUnit), ignored);
  if (!before && !units && !std::filesystem::exists(context.home.install_mode(), ignored)) {
    *context.err << "halton-meter rescue: there is no installation to rescue.\n"
                    "What to do: halton-meter init\n";
    return kNotWell;
  }
  if (!systemd.usable()) {
    *context.err << unreachable_text(systemd, context);
    return kEnvironment;
  }
  *context.err << "Ending what is left of both services ...\n" << std::flush;
  // No unit's own patience: what hangs is why we were called.
  static_cast<void>(systemd.call({"stop", "--no-block", kDaemonUnit, kEdgeUnit}));
  const auto leftovers = usual_processes(context);
  for (const OurProcess& process : leftovers)
    *context.err << "  left over: " << process.program << " (PID " << process.pid << ")\n";
  end_processes(leftovers, kPatienceMs);
  static_cast<void>(systemd.call({"stop", kDaemonUnit, kEdgeUnit}));
  for (const auto& file : {context.place.edge_socket, context.place.daemon_socket,
                           supervisor_file(context.place), context.home.ports()})
    std::filesystem::remove(file, ignored);
  static_cast<void>(systemd.call({"reset-failed", kEdgeUnit, kDaemonUnit}));
  static_cast<void>(systemd.call({"daemon-reload"}));

  InstallWishes wishes;
  wishes.mode = flags.has("apps")      ? InstallMode::apps
                : flags.has("no-apps") ? InstallMode::env_only
                                       : before.value_or(InstallMode::env_only);
  wishes.shell_rc = !leaves_shell_rc(context.home);
  // As --clean: the unit files are made anew. Taking it all back would leave the ruin.
  for (const char* unit : {kEdgeUnit, kDaemonUnit})
    std::filesystem::remove(unit_file(context, unit), ignored);
  return Installer(context, wishes).run();
}

constexpr std::array kFlags = {
    FlagSpec{"apps", "", "install in mode apps (default: as before)"},
    FlagSpec{"no-apps", "", "install in mode env-only"},
};

}  // namespace

const Command kRescueCommand = {
    .name = "rescue",
    .summary = "when nothing else helps: end it all, install anew",
    .operands = "",
    .about =
        "Ends both services and whatever is left of them, by force if need be, forgets that they\n"
        "failed, and installs anew in the mode that was installed. Keeps database, configuration "
        "and\n"
        "CA. Calls that are open through the edge end.\n",
    .example = "  halton-meter rescue\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
