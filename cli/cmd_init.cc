#include <unistd.h>

#include <array>

#include "cli/command.h"
#include "cli/init_command.h"
#include "cli/installer.h"

namespace hm::cli {
namespace {

int install(Context& context, const Flags& flags, std::string_view command, InstallMode usual) {
  if (flags.has("full")) {
    *context.err << "halton-meter " << command
                 << ": there is no --full on Linux: it would be a system-wide proxy, and nothing "
                    "here sets one.\nUse --apps: new terminals and the programs of your session "
                    "are metered then.\n";
    return kUsage;
  }
  InstallWishes wishes;
  wishes.mode = flags.has("apps") ? InstallMode::apps : usual;
  if (flags.has("no-shell-rc") && flags.has("shell-rc"))
    return usage_error(context, command, "--no-shell-rc and --shell-rc exclude each other");
  wishes.shell_rc =
      flags.has("shell-rc") || (!flags.has("no-shell-rc") && !leaves_shell_rc(context.home));
  wishes.clean = flags.has("clean");
  wishes.may_ask =
      !flags.has("non-interactive") && context.err_is_terminal && ::isatty(STDIN_FILENO) == 1;
  return Installer(context, wishes).run();
}

int run_init(Context& context, const Flags& flags) {
  return install(context, flags, "init", InstallMode::env_only);
}
int run_onboard(Context& context, const Flags& flags) {
  return install(context, flags, "onboard", InstallMode::apps);
}

constexpr std::array kFlags = {
    FlagSpec{"apps", "", "meter new terminals and the programs of the session, too"},
    FlagSpec{"non-interactive", "", "ask nothing"},
    FlagSpec{"no-shell-rc", "", "leave the start files of shells alone, from now on"},
    FlagSpec{"shell-rc", "", "write into them again"},
    FlagSpec{"clean", "", "services anew; if it does not work in the end, everything as before"},
    FlagSpec{"full", "", "not on Linux: refused"},
};

}  // namespace

const Command kInitCommand = {
    .name = "init",
    .summary = "install, repair, or switch the mode",
    .operands = "",
    .about =
        "Makes folder, CA and bundle, installs and starts the two services of your user, and "
        "proves\n"
        "with a call of its own that metering works. Mode env-only meters what is started with\n"
        "halton-meter run; --apps also sets the environment of new shells and of your session. "
        "May\n"
        "be run again at any time: it repairs what it finds, switches the mode, and changes "
        "nothing\n"
        "that is right. A proxy that you had becomes the upstream proxy. Exit code 0 installed, 1\n"
        "something failed, 3 this machine cannot carry it (no user manager of systemd).\n",
    .example = "  halton-meter init --apps\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run_init,
};

const Command kOnboardCommand = {
    .name = "onboard",
    .summary = "init --apps",
    .operands = "",
    .about = "The same as halton-meter init --apps.\n",
    .example = "  halton-meter onboard\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run_onboard,
};

}  // namespace hm::cli
