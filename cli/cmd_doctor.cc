#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "cli/checks/check.h"
#include "cli/command.h"
#include "cli/json_text.h"
#include "cli/support_bundle.h"
#include "cli/text.h"
#include "cli/units.h"

namespace hm::cli {
namespace {

struct Report {
  std::vector<std::pair<const Check*, Finding>> findings;
  Severity worst = Severity::fine;
};

const char* word_of(Severity severity) {
  switch (severity) {
    case Severity::fine:
      return "ok";
    case Severity::skipped:
      return "-";
    case Severity::note:
      return "note";
    case Severity::inconsistent:
      return "inconsistent";
    case Severity::broken:
      return "BROKEN";
  }
  return "";
}

const char* verdict_of(const Report& report) {
  return report.worst == Severity::broken         ? "BROKEN"
         : report.worst == Severity::inconsistent ? "INCONSISTENT"
                                                  : "HEALTHY";
}

Report examine(const Context& context) {
  Patient patient{context};
  std::error_code ignored;
  patient.has_units = std::filesystem::exists(unit_file(context, kEdgeUnit), ignored) ||
                      std::filesystem::exists(unit_file(context, kDaemonUnit), ignored);
  Report report;
  for (const Check* check : all_checks()) {
    report.findings.emplace_back(check, check->run(patient));
    report.worst = std::max(report.worst, report.findings.back().second.severity);
  }
  return report;
}

bool is_trouble(const Finding& finding) {
  return finding.severity == Severity::inconsistent || finding.severity == Severity::broken;
}

// The table and what leads to it.
void print(const Context& context, std::ostream& out, const Report& report) {
  const char* sgr = report.worst == Severity::broken         ? "31"
                    : report.worst == Severity::inconsistent ? "33"
                                                             : "32";
  out << "Halton Meter " << context.version
      << " doctor: " << coloured(context, verdict_of(report), sgr) << "\n";
  for (const auto& [check, finding] : report.findings) {
    if (finding.next.empty() || finding.severity <= Severity::skipped) continue;
    out << "\n"
        << check->title << ": " << printable(finding.text) << "\n  next: " << finding.next << "\n";
  }
  Table table({{"check"}, {"state"}, {"finding", Align::left, 1}});
  for (const auto& [check, finding] : report.findings)
    table.add({std::string(check->id), word_of(finding.severity), printable(finding.text)});
  out << "\n" << table.text(context.style);
}

std::string json_of(const Context& context, const Report& report) {
  JsonText json;
  json.begin_object().member("version", context.version).member("verdict", verdict_of(report));
  json.key("checks").begin_array();
  for (const auto& [check, finding] : report.findings)
    json.begin_object()
        .member("id", check->id)
        .member("title", check->title)
        .member("state", finding.severity == Severity::skipped  ? "skipped"
                         : finding.severity == Severity::broken ? "broken"
                                                                : word_of(finding.severity))
        .member("finding", finding.text)
        .member("next", finding.next)
        .end_object();
  return json.end_array().end_object().take();
}

int exit_code(const Report& report) {
  if (report.worst < Severity::inconsistent) return kFine;
  // Without a user manager nothing of ours can be started as a service.
  const bool no_manager = std::ranges::any_of(report.findings, [](const auto& entry) {
    return entry.first == &kUserBusCheck && entry.second.severity == Severity::broken;
  });
  return no_manager ? kEnvironment : kNotWell;
}

int write_bundle(Context& context, const Report& report) {
  Context plain = context;  // no colours in a file
  plain.colour = false;
  plain.style = {};
  std::ostringstream text;
  print(plain, text, report);
  std::error_code ignored;
  const auto path =
      write_support_bundle(context, std::filesystem::current_path(ignored),
                           {{"doctor.txt", text.str()}, {"doctor.json", json_of(context, report)}});
  if (!path) {
    *context.err << "halton-meter doctor: " << path.error()
                 << "\nWhat to do: run it in a folder of yours\n";
    return kNotWell;
  }
  *context.out << path->string() << "\n";
  *context.err
      << "Keys, passwords, addresses and your name are taken out of it; it holds no prompt "
         "and no answer.\nLook through it before you send it: tar -xOf "
      << path->filename().string() << " | less\n";
  return kFine;
}

void close_permissions(const Home& home) {
  ::chmod(home.root().c_str(), 0700);
  ::chmod(home.ca_dir().c_str(), 0700);
  ::chmod(home.ca_key().c_str(), 0600);
}

// What --fix does, in this order, each at most once. Says it, and with `apply` does it.
void mend(Context& context, const Report& report, bool apply) {
  const auto wanted = [&](Remedy remedy) {
    return std::ranges::any_of(report.findings, [&](const auto& entry) {
      return entry.second.remedy == remedy && is_trouble(entry.second);
    });
  };
  const bool permissions = wanted(Remedy::permissions);
  const bool install = wanted(Remedy::install);
  // A new CA only when there is none that can be used; a bundle is made again beside the old one.
  const bool new_ca = std::ranges::any_of(report.findings, [](const auto& entry) {
    return entry.second.next == "halton-meter setup --force" && is_trouble(entry.second);
  });
  const bool certificates = wanted(Remedy::certificates);
  const auto mode = installed_mode(context.home);
  const bool apps = mode == InstallMode::apps;
  const bool restart = wanted(Remedy::restart);
  const bool ask_again = wanted(Remedy::ask_again);
  if (!permissions && !certificates && !install && !restart && !ask_again) {
    *context.err << "There is nothing that --fix can mend.\n";
    return;
  }
  const auto step = [&](const std::string& what, const auto& work) {
    *context.err << (apply ? "Doing: " : "Would do: ") << what << "\n" << std::flush;
    if (apply) work();
  };
  const auto command = [&](const std::vector<std::string>& words) {
    return [&context, words] { static_cast<void>(run_command_line(context, words)); };
  };
  if (permissions)
    step("close folder, CA folder and key to others", [&] { close_permissions(context.home); });
  if (certificates) {
    std::vector<std::string> words{"setup"};
    if (new_ca) words.emplace_back("--force");
    step(new_ca ? "halton-meter setup --force" : "halton-meter setup", command(words));
  }
  if (install) {
    std::vector<std::string> words{"init", "--non-interactive"};
    if (apps) words.emplace_back("--apps");
    step(apps ? "halton-meter init --apps" : "halton-meter init", command(words));
  }
  if (restart) step("halton-meter restart", command({"restart"}));
  if (ask_again) step("halton-meter reload", command({"reload"}));
  if (!apply) *context.err << "To do it: halton-meter doctor --fix --apply\n";
}

int run(Context& context, const Flags& flags) {
  if (flags.has("apply") && !flags.has("fix"))
    return usage_error(context, "doctor", "--apply goes with --fix");
  Report report = examine(context);
  if (flags.has("fix") && report.worst >= Severity::inconsistent) {
    mend(context, report, flags.has("apply"));
    if (flags.has("apply")) report = examine(context);
  }
  if (flags.has("bundle")) return write_bundle(context, report);
  if (flags.has("json")) {
    *context.out << json_of(context, report);
  } else {
    print(context, *context.out, report);
  }
  return exit_code(report);
}

constexpr std::array kFlags = {
    FlagSpec{"fix", "", "say what would be mended"},
    FlagSpec{"apply", "", "with --fix: mend it, and look again"},
    FlagSpec{"json", "", "as one JSON object"},
    FlagSpec{"bundle", "", "write all of it, with logs, redacted, into one archive in this folder"},
};

}  // namespace

const Command kDoctorCommand = {
    .name = "doctor",
    .summary = "find what is wrong, and what to do about it",
    .operands = "",
    .about =
        "Looks at services, ports, certificates, environment, running tools and database, and "
        "sends\n"
        "a real call through the edge. The first line says HEALTHY, INCONSISTENT (calls pass, and\n"
        "something is not as it should be) or BROKEN (calls are not metered); each finding has "
        "one\n"
        "next action. Asks nobody beyond this machine. Exit code 0 when HEALTHY, 3 when no user "
        "manager\n"
        "can be reached, else 1.\n",
    .example = "  halton-meter doctor --fix --apply\n",
    .flags = kFlags,
    .parsing = Command::Parsing::own,
    .run = run,
};

}  // namespace hm::cli
