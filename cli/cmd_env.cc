#include <array>
#include <filesystem>

#include "cli/client_env.h"
#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/pair_state.h"
#include "cli/settings.h"
#include "cli/text.h"
#include "cli/trust_files.h"

namespace hm::cli {
namespace {

int run(Context& context, const Flags& flags) {
  const std::string shell = flags.value("shell").value_or(
      std::filesystem::path(look_up(context.environment, "SHELL")).filename().string());
  const bool known = shell == "bash" || shell == "zsh" || shell == "fish" || shell == "sh";
  if (flags.has("shell") && !known)
    return usage_error(context, "env", "--shell takes bash, zsh or fish");
  RunTags tags;
  if (const auto text = flags.value("project")) {
    const auto slug = project_slug(*text);
    if (!slug) return usage_error(context, "env", "'" + printable(*text) + "' is no project slug");
    tags.project = *slug;
  }

  const auto ports = bound_ports(context.place);
  if (!ports || !answers_ping(context.place.edge_socket, 300) || !port_accepts(ports->edge, 300)) {
    // In a shell's start file this must stay silent.
    if (context.out_is_terminal)
      *context.err << "halton-meter env: the edge does not answer, so nothing is exported\n"
                      "What to do: halton-meter start\n";
    return kNotWell;
  }
  const Settings settings = load_settings(context);
  // Calls through the edge take the way that they took before, or stay as they are (see `run`).
  if (!settings.has_upstream_proxy &&
      !earlier_proxy(context.environment, settings.known_edge_ports).url.empty()) {
    *context.err
        << "halton-meter env: this shell has a proxy that the edge does not use, so nothing "
           "is exported. It is the edge's, too, when [upstream] proxy in "
        << context.home.config().string()
        << " names it.\nWhat to do: halton-meter run -- COMMAND\n";
    return kNotWell;
  }
  auto places = ensure_certificates(context, settings);
  if (!places) {
    *context.err << "halton-meter env: the certificates cannot be made: "
                 << describe(places.error()) << "\nWhat to do: halton-meter setup\n";
    return kEnvironment;
  }
  places->edge_port = ports->edge;
  *context.out << export_lines(client_variables(context.environment, *places, tags, Reach::shell),
                               shell == "fish" ? Shell::fish : Shell::posix);
  return kFine;
}

constexpr std::array kFlags = {
    FlagSpec{"shell", "NAME", "bash, zsh or fish (default: $SHELL)"},
    FlagSpec{"project", "SLUG", "count the calls of this shell for this project"},
};

}  // namespace

const Command kEnvCommand = {
    .name = "env",
    .summary = "print export lines that meter this shell",
    .operands = "",
    .about =
        "Prints the lines that bring the calls of a shell through the running edge. When the edge\n"
        "does not answer it prints nothing, so a shell is never broken by it; nor when the shell "
        "has\n"
        "a proxy of its own that the edge does not use.\n",
    .example = "  eval \"$(halton-meter env)\"\n  halton-meter env --shell fish | source\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
