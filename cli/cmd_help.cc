#include "cli/command.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

int run(Context& context, const Flags& flags) {
  if (flags.operands().empty()) {
    *context.out << general_help();
    return kFine;
  }
  const std::string& name = flags.operands()[0];
  const Command* command = find_command(name);
  if (command == nullptr) {
    std::string sentence = "there is no command '" + printable(name) + "'";
    if (const auto nearest = nearest_command(name); !nearest.empty())
      sentence += "; did you mean '" + std::string(nearest) + "'?";
    return usage_error(context, "", sentence);
  }
  *context.out << help_page(*command);
  return kFine;
}

}  // namespace

const Command kHelpCommand = {
    .name = "help",
    .summary = "explain a command",
    .operands = "[COMMAND]",
    .about = "Prints the list of commands, or the page of one.\n",
    .example = "  halton-meter help report\n",
    .flags = {},
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
