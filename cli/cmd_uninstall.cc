#include <unistd.h>

#include <array>
#include <charconv>
#include <iostream>
#include <ranges>
#include <string_view>
#include <utility>

#include "cli/child_process.h"
#include "cli/command.h"
#include "cli/removal.h"
#include "cli/units.h"

namespace hm::cli {
namespace {

// True: go on.
bool confirmed(Context& context, const Flags& flags, bool& usage) {
  if (!flags.has("include-logs") || flags.has("yes")) return true;
  if (::isatty(STDIN_FILENO) != 1) {
    *context.err << "halton-meter uninstall: --include-logs deletes the database; add --yes to say "
                    "that you mean it.\n";
    usage = true;
    return false;
  }
  *context.err << "This deletes " << context.home.root().string()
               << " with the database of all your calls. Type yes to go on: " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "yes") return true;
  *context.err << "Nothing was removed.\n";
  return false;
}

// It ends the edge when the listed programs have ended, and takes away what had to stay with it.
void leave_a_waiter(const Context& context, const Flags& flags, const Removal& removal,
                    const std::vector<CarryingProcess>& listed) {
  SignalLine signals;
  ProcessPlan plan;
  plan.program = context.program_folder / "halton-meter";
  std::string pids;
  for (const CarryingProcess& process : listed)
    pids += (pids.empty() ? "" : ",") + std::to_string(process.pid);
  plan.words = {plan.program.string(), "uninstall", "--yes", "--when-unused", pids};
  for (const char* flag : {"purge", "include-logs"})
    if (flags.has(flag)) plan.words.push_back(std::string("--") + flag);
  if (flags.has("purge"))
    plan.words.push_back("--left=" + removal.signs_of_use(flags.has("include-logs")));
  plan.environment = context.environment;
  for (const char* name : {"HTTPS_PROXY", "https_proxy"}) plan.environment.erase(name);
  plan.background = true;
  static_cast<void>(start_process(plan, signals));
}

// Empty: it is no list of process ids. (1 is nobody's to wait for.)
std::vector<pid_t> parse_pids(const std::string& text) {
  std::vector<pid_t> pids;
  for (const auto word : text | std::views::split(',')) {
    const std::string_view digits(word);
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
    if (error != std::errc() || end != digits.data() + digits.size() || pid <= 1) return {};
    pids.push_back(pid);
  }
  return pids;
}

// True: something resisted.
bool told_what_resisted(const Context& context, const Removal& removal) {
  if (removal.resisted().empty()) return false;
  *context.err << "Not everything could be removed:\n";
  for (const std::string& sentence : removal.resisted()) *context.err << "  " << sentence << "\n";
  return true;
}

int wait_for_the_last(const Context& context, Removal& removal, const Flags& flags,
                      const std::vector<pid_t>& pids) {
  const bool data_too = flags.has("include-logs");
  const auto given = flags.value("left");
  const std::string left = given ? *given : removal.signs_of_use(data_too);
  std::vector<CarryingProcess> listed;
  for (const pid_t pid : pids)
    if (auto process = process_named(pid)) listed.push_back(std::move(*process));
  if (removal.stop_edge_when_unused(listed) && flags.has("purge"))
    removal.purge_rest(data_too, left);
  return told_what_resisted(context, removal) ? kNotWell : kFine;
}

int run(Context& context, const Flags& flags) {
  if (flags.has("include-logs") && !flags.has("purge"))
    return usage_error(context, "uninstall", "--include-logs goes with --purge");
  const auto when_unused = flags.value("when-unused");
  const auto pids = parse_pids(when_unused.value_or(std::string()));
  if (when_unused && pids.empty())
    return usage_error(context, "uninstall",
                       "--when-unused takes process ids with commas between them");
  bool usage = false;
  if (!confirmed(context, flags, usage)) return usage ? kUsage : kNotWell;
  Removal removal(context);
  if (when_unused) return wait_for_the_last(context, removal, flags, pids);

  std::vector<CarryingProcess> still;
  const auto others = home_of_units(context);
  if (others && *others != context.home.root()) {
    *context.err << "The services of this user belong to the home " << others->string()
                 << " and stay as they are.\n";
  } else {
    still = removal.run(flags.has("now"));
  }
  if (flags.has("purge")) removal.purge(flags.has("include-logs"), !still.empty());
  if (!still.empty()) leave_a_waiter(context, flags, removal, still);
  if (told_what_resisted(context, removal)) return kNotWell;
  std::error_code ignored;
  *context.err << "Halton Meter is uninstalled.";
  if (!still.empty() && flags.has("purge")) {
    *context.err << " The rest of " << context.home.root().string() << " goes with the edge.";
  } else if (std::filesystem::exists(context.home.root(), ignored)) {
    *context.err << " Kept: " << context.home.root().string()
                 << (flags.has("purge") ? " (what is no file of ours, and without --include-logs "
                                          "database and logs)"
                                        : " (--purge removes what is no data)");
  }
  *context.err << "\n";
  return kFine;
}

constexpr std::array kFlags = {
    FlagSpec{"purge", "", "also CA, bundle, configuration; not database and logs"},
    FlagSpec{"include-logs", "", "with --purge: database and logs, too"},
    FlagSpec{"yes", "", "do not ask"},
    FlagSpec{"now", "", "end the edge also while running programs carry its address"},
    FlagSpec{"when-unused", "PID,...",
             "only wait until these have ended and no program carries it, then end the edge"},
    FlagSpec{"left", "FILES", "with --when-unused --purge: only when the home is still as left"},
};

}  // namespace

const Command kUninstallCommand = {
    .name = "uninstall",
    .summary = "remove services and environment",
    .operands = "",
    .about =
        "Removes the environment of shells and session first, then the services. Programs that "
        "run\n"
        "and carry the edge's address go on working: while there are any, they are listed and the\n"
        "edge stays for them, passing calls through; it ends with the last of them, at logout, or\n"
        "with --now. The folder with your data stays unless --purge says otherwise.\n",
    .example =
        "  halton-meter uninstall\n  halton-meter uninstall --purge --include-logs --yes --now\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
