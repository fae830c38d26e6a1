// The command table. Each cmd_<name>.cc offers one Command; commands.cc lists them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"
#include "cli/flags.h"

namespace hm::cli {

struct Command {
  std::string_view name;
  std::string_view summary;  // one line, for the list
  std::string_view
      operands;            // behind the flags in the usage line, e.g. "-- COMMAND [ARGUMENT...]";
                           // with Parsing::own, empty: it takes none, and is not run with one
  std::string_view about;  // paragraphs of the help page, lines ready to print
  std::string_view example;
  std::span<const FlagSpec> flags;
  // own: flags may stand anywhere. until_operand: what follows the first operand belongs to
  // somebody else. none: every word is passed on as it is.
  enum class Parsing : unsigned char { own, until_operand, none } parsing = Parsing::own;
  int (*run)(Context&, const Flags&) = nullptr;
};

extern const Command kInitCommand;
extern const Command kOnboardCommand;
extern const Command kSetupCommand;
extern const Command kStartCommand;
extern const Command kStopCommand;
extern const Command kRestartCommand;
extern const Command kReloadCommand;
extern const Command kDoctorCommand;
extern const Command kLogsCommand;
extern const Command kRescueCommand;
extern const Command kUninstallCommand;
extern const Command kBodiesCommand;
extern const Command kCompletionCommand;
extern const Command kRunCommand;
extern const Command kStatusCommand;
extern const Command kReportCommand;
extern const Command kTopCommand;
extern const Command kProjectsCommand;
extern const Command kExportCommand;
extern const Command kPricingCommand;
extern const Command kEnvCommand;
extern const Command kDaemonCommand;
extern const Command kEdgeCommand;
extern const Command kHelpCommand;

[[nodiscard]] std::span<const Command* const> all_commands();
[[nodiscard]] const Command* find_command(std::string_view name);
[[nodiscard]] std::string_view nearest_command(std::string_view name);  // empty: nothing is near
[[nodiscard]] std::string general_help();
[[nodiscard]] std::string help_page(const Command& command);

// One sentence on stderr and the hint where help is; returns kUsage.
int usage_error(Context& context, std::string_view command, std::string_view sentence);

// The words behind the program's name; returns the exit code.
int run_command_line(Context& context, const std::vector<std::string>& words);

}  // namespace hm::cli
