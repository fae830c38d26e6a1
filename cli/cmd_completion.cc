#include "cli/command.h"
#include "cli/env_files.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

std::string flags_of(const Command& command) {
  std::string words;
  for (const FlagSpec& flag : command.flags) words += "--" + std::string(flag.name) + " ";
  return words + "--help";
}

std::string names() {
  std::string words;
  for (const Command* command : all_commands())
    words += (words.empty() ? "" : " ") + std::string(command->name);
  return words;
}

// Words that a command takes besides its flags.
std::string_view operands_of(const Command& command) {
  if (command.name == "help") return "@";  // the commands
  if (command.name == "bodies") return "stats purge";
  if (command.name == "logs") return "edge daemon";
  if (command.name == "pricing") return "list show check unpriced reprice key";
  if (command.name == "completion") return "bash zsh fish";
  return {};
}

std::string words_for(const Command& command) {
  std::string words = flags_of(command);
  const std::string_view more = operands_of(command);
  if (!more.empty()) words += " " + (more == "@" ? names() : std::string(more));
  return words;
}

// zsh understands the same through bashcompinit.
std::string bash_script(bool zsh) {
  std::string out =
      zsh ? "#compdef halton-meter\nautoload -U +X bashcompinit && bashcompinit\n" : "";
  out +=
      "_halton_meter() {\n"
      "  local word=\"${COMP_WORDS[COMP_CWORD]}\" words=\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    words='" +
      names() +
      " --version --help'\n"
      "  else\n"
      "    case \"${COMP_WORDS[1]}\" in\n";
  for (const Command* command : all_commands())
    out += "      " + std::string(command->name) + ") words='" + words_for(*command) + "' ;;\n";
  return out +
         "    esac\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "}\n"
         "complete -o default -F _halton_meter halton-meter\n";
}

std::string fish_script() {
  std::string out = "complete -c halton-meter -f\n";
  for (const Command* command : all_commands()) {
    const std::string name(command->name);
    out += "complete -c halton-meter -n __fish_use_subcommand -a " + name + " -d " +
           shell_quoted(command->summary, true) + "\n";
    const std::string seen =
        "complete -c halton-meter -n '__fish_seen_subcommand_from " + name + "' ";
    for (const FlagSpec& flag : command->flags)
      out += seen + "-l " + std::string(flag.name) +
             (flag.letter != 0 ? std::string(" -s ") + flag.letter : std::string()) +
             (flag.value.empty() ? "" : " -r") + " -d " + shell_quoted(flag.help, true) + "\n";
    const std::string_view more = operands_of(*command);
    if (!more.empty())
      out += seen + "-a " + shell_quoted(more == "@" ? names() : std::string(more), true) + "\n";
    if (name == "run") out += seen + "-a '(__fish_complete_subcommand)'\n";
  }
  return out;
}

int run(Context& context, const Flags& flags) {
  const auto& words = flags.operands();
  if (words.size() != 1) return usage_error(context, "completion", "say bash, zsh or fish");
  if (words[0] == "bash") {
    *context.out << bash_script(false);
  } else if (words[0] == "zsh") {
    *context.out << bash_script(true);
  } else if (words[0] == "fish") {
    *context.out << fish_script();
  } else {
    return usage_error(context, "completion",
                       "'" + printable(words[0]) + "' is none of bash, zsh, fish");
  }
  return kFine;
}

}  // namespace

const Command kCompletionCommand = {
    .name = "completion",
    .summary = "print a completion script for a shell",
    .operands = "bash|zsh|fish",
    .about = "Prints what makes the shell complete commands and flags of halton-meter.\n",
    .example =
        "  eval \"$(halton-meter completion bash)\"\n"
        "  halton-meter completion fish > ~/.config/fish/completions/halton-meter.fish\n",
    .flags = {},
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
