#include <algorithm>
#include <array>

#include "cli/command.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

// As a reader of the list meets them: to install, to use, to look, to leave, the rest.
constexpr std::array kCommands = {
    &kInitCommand,    &kOnboardCommand, &kSetupCommand,      &kStartCommand,    &kStopCommand,
    &kRestartCommand, &kReloadCommand,  &kStatusCommand,     &kDoctorCommand,   &kRunCommand,
    &kEnvCommand,     &kReportCommand,  &kTopCommand,        &kProjectsCommand, &kExportCommand,
    &kPricingCommand, &kBodiesCommand,  &kLogsCommand,       &kRescueCommand,   &kUninstallCommand,
    &kEdgeCommand,    &kDaemonCommand,  &kCompletionCommand, &kHelpCommand,
};

std::string padded(std::string_view text, size_t width) {
  std::string out(text);
  if (out.size() < width) out.append(width - out.size(), ' ');
  return out;
}

std::string flag_text(const FlagSpec& flag) {
  std::string text = flag.letter != 0 ? std::string{'-', flag.letter, ',', ' '} : std::string();
  text += "--" + std::string(flag.name);
  if (!flag.value.empty()) text += " " + std::string(flag.value);
  return text;
}

}  // namespace

std::span<const Command* const> all_commands() {
  return kCommands;
}

const Command* find_command(std::string_view name) {
  const auto found = std::find_if(kCommands.begin(), kCommands.end(),
                                  [&](const Command* command) { return command->name == name; });
  return found == kCommands.end() ? nullptr : *found;
}

std::string_view nearest_command(std::string_view name) {
  if (name.size() > 32) return {};
  std::string_view nearest;
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  for (const Command* command : kCommands) {
    const size_t distance = edit_distance(name, command->name);
    if (distance < best) {
      best = distance;
      nearest = command->name;
    }
    if (nearest.empty() && name.size() >= 2 && command->name.starts_with(name))
      nearest = command->name;
  }
  return nearest;
}

std::string general_help() {
  std::string out =
      "Halton Meter reads the meter of LLM calls made on this machine.\n\n"
      "Usage: halton-meter COMMAND [FLAGS]\n\nCommands:\n";
  for (const Command* command : kCommands)
    out += "  " + padded(command->name, 12) + std::string(command->summary) + "\n";
  out +=
      "\n  --version   print the version\n  --help      print this page\n\n"
      "Help on one command: halton-meter help COMMAND\n"
      "To begin:            halton-meter run -- COMMAND, then halton-meter report\n"
      "To stay:             halton-meter init\n";
  return out;
}

std::string help_page(const Command& command) {
  std::string out = "Usage: halton-meter " + std::string(command.name);
  if (!command.flags.empty()) out += " [FLAGS]";
  if (!command.operands.empty()) out += " " + std::string(command.operands);
  out += "\n\n" + std::string(command.about) + "\nFlags:\n";
  size_t width = std::string_view("--help").size();
  for (const FlagSpec& flag : command.flags) width = std::max(width, flag_text(flag).size());
  for (const FlagSpec& flag : command.flags)
    out += "  " + padded(flag_text(flag), width + 2) + std::string(flag.help) + "\n";
  out += "  " + padded("--help", width + 2) + "print this page\n";
  return out + "\nExample:\n" + std::string(command.example);
}

int usage_error(Context& context, std::string_view command, std::string_view sentence) {
  *context.err << "halton-meter" << (command.empty() ? "" : " ") << command << ": " << sentence
               << "\nTry: halton-meter help" << (command.empty() ? "" : " ") << command << "\n";
  return kUsage;
}

int run_command_line(Context& context, const std::vector<std::string>& words) {
  if (words.empty()) {
    *context.err << general_help();
    return kUsage;
  }
  const std::string& first = words[0];
  if (first == "--version" || first == "version") {
    *context.out << "halton-meter " << context.version << "\n";
    return kFine;
  }
  if (first == "--help" || first == "-h") {
    *context.out << general_help();
    return kFine;
  }
  const Command* command = find_command(first);
  if (command == nullptr) {
    std::string sentence = "there is no command '" + printable(first) + "'";
    if (const auto nearest = nearest_command(first); !nearest.empty())
      sentence += "; did you mean '" + std::string(nearest) + "'?";
    return usage_error(context, "", sentence);
  }

  std::vector<std::string> rest(words.begin() + 1, words.end());
  if (command->parsing == Command::Parsing::none) {
    if (!rest.empty() && (rest[0] == "--help" || rest[0] == "-h")) {
      *context.out << help_page(*command);
      return kFine;
    }
    rest.insert(rest.begin(), "--");
  }
  const auto flags =
      parse_flags(command->flags, rest, command->parsing == Command::Parsing::until_operand);
  if (!flags) return usage_error(context, command->name, flags.error());
  if (flags->has("help")) {
    *context.out << help_page(*command);
    return kFine;
  }
  if (command->parsing == Command::Parsing::own && command->operands.empty() &&
      !flags->operands().empty())
    return usage_error(context, command->name,
                       "'" + printable(flags->operands()[0]) + "' is not understood");
  return command->run(context, *flags);
}

}  // namespace hm::cli
