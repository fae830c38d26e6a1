// Step 5 of an installation: the unit files and what they start.
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <tuple>

#include "cli/init_command.h"
#include "cli/installer.h"
#include "cli/pair_service.h"
#include "cli/pair_state.h"
#include "cli/units.h"

namespace hm::cli {
namespace {

// The program of a running process is still the file that the unit names.
bool runs_program(std::string_view pid, const std::filesystem::path& program) {
  std::error_code error;
  const auto running = std::filesystem::read_symlink("/proc/" + std::string(pid) + "/exe", error);
  std::error_code unresolved;
  return !error && running == std::filesystem::weakly_canonical(program, unresolved);
}

}  // namespace

bool Installer::write_unit(const char* unit, std::string_view unit_template, bool& changed) {
  const auto file = unit_file(context_, unit);
  if (wishes_.clean) {
    // What an earlier installation left is not looked at.
    const auto removed = files_.remove(file);
    if (!removed)
      return refuse(file.string() + " cannot be replaced: " + describe(removed.error()),
                    "make the file writable for you, then: " + init_command(wishes_));
  }
  const auto wrote = files_.write(file, unit_text(unit_template, context_), 0644);
  if (!wrote)
    return refuse(file.string() + " cannot be written: " + describe(wrote.error()),
                  "make " + file.parent_path().string() + " writable for you");
  changed = *wrote;
  return true;
}

// The interceptor that runs is the one that is installed.
bool Installer::daemon_is_current() const {
  const auto status = StatusAnswer::ask(context_.place.daemon_socket);
  return status && status->text("version") == context_.version &&
         runs_program(systemd_.property(kDaemonUnit, "MainPID"),
                      context_.program_folder / "halton-meter-interceptor");
}

bool Installer::install_units() {
  steps_.begin("services");
  if (!systemd_.usable()) {
    code_ = kEnvironment;
    steps_.failed("no user manager", "");
    *context_.err << unreachable_text(systemd_, context_);
    return false;
  }
  if (const pid_t supervisor = PairService(context_).supervisor(); supervisor != 0)
    return refuse("a supervisor (halton-meter start --foreground) is running, PID " +
                      std::to_string(supervisor),
                  "kill " + std::to_string(supervisor) + " && sleep 6 && " + init_command(wishes_));
  for (const auto& [socket, active, name] :
       {std::tuple(context_.place.edge_socket, edge_was_active_, "edge"),
        std::tuple(context_.place.daemon_socket, daemon_was_active_, "interceptor")}) {
    if (active) continue;
    const auto status = StatusAnswer::ask(socket);
    if (!status) continue;
    const std::string pid = std::to_string(status->number("pid").value_or(0));
    return refuse(std::string("an ") + name + " runs already, not as a service (PID " + pid + ")",
                  "kill " + pid + " && sleep 1 && " + init_command(wishes_));
  }
  touched_units_ = true;
  bool edge_changed = false;
  bool daemon_changed = false;
  if (!write_unit(kEdgeUnit, edge_unit_template(), edge_changed) ||
      !write_unit(kDaemonUnit, daemon_unit_template(), daemon_changed))
    return false;
  return start_units(edge_changed, daemon_changed);
}

// Which of the two has to be started, restarted or left alone, case by case.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
bool Installer::start_units(bool edge_changed, bool daemon_changed) {
  const auto call = [&](const std::vector<std::string>& words) {
    const Finished told = systemd_.call(words, 90'000);
    if (told.fine()) return true;
    return refuse("systemctl --user " + words[0] + ": " +
                      (told.timed_out ? "no end within 90 s" : trimmed(told.err)) +
                      its_log_ends_with(words.back() == kEdgeUnit ? context_.home.edge_log()
                                                                  : context_.home.daemon_log()),
                  "journalctl --user -n 50; halton-meter logs --since 5m");
  };
  const bool reload = edge_changed || daemon_changed ||
                      systemd_.property(kEdgeUnit, "NeedDaemonReload") == "yes" ||
                      systemd_.property(kDaemonUnit, "NeedDaemonReload") == "yes" ||
                      systemd_.property(kDaemonUnit, "LoadState") != "loaded";
  if (reload && !call({"daemon-reload"})) return false;
  if (systemd_.property(kEdgeUnit, "UnitFileState") != "enabled" ||
      systemd_.property(kDaemonUnit, "UnitFileState") != "enabled") {
    if (!call({"enable", kEdgeUnit, kDaemonUnit})) return false;
    anything_new_ = true;
  }
  // Whatever made them fail before may be mended now.
  static_cast<void>(systemd_.call({"reset-failed", kEdgeUnit, kDaemonUnit}));

  const bool files_new = anything_new_ || reload;
  std::string detail;
  const auto bring_up = [&](const char* unit, const char* name, bool outdated) {
    const bool active = systemd_.state(unit) == "active";
    if (active && !outdated) {
      detail += std::string(detail.empty() ? "" : ", ") + name + " up";
      return true;
    }
    anything_new_ = true;
    detail += std::string(detail.empty() ? "" : ", ") + name + (active ? " restarted" : " started");
    return call({active ? "restart" : "start", unit});
  };
  const bool edge_outdated =
      edge_changed || wishes_.clean ||
      (edge_was_active_ && !runs_program(systemd_.property(kEdgeUnit, "MainPID"),
                                         context_.program_folder / "halton-meter-edge"));
  if (!bring_up(kEdgeUnit, "edge", edge_outdated)) return false;
  const bool daemon_outdated =
      files_new || wishes_.clean || (daemon_was_active_ && !daemon_is_current());
  if (wishes_.may_ask && daemon_outdated && open_calls(context_.place) > 0) {
    *context_.err << "\nThe interceptor has to be restarted; calls that are open may end first (up "
                     "to 30 s). Go on? [Y/n] "
                  << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    if (answer.starts_with('n') || answer.starts_with('N'))
      return refuse("stopped at your wish", init_command(wishes_));
  }
  if (!bring_up(kDaemonUnit, "interceptor", daemon_outdated)) return false;
  places_.edge_port = bound_ports(context_.place).value_or(BoundPorts{}).edge;
  steps_.done(detail);
  if (!lingers(context_))
    notes_.push_back(
        "the services end with your last session; to keep them over logout: sudo "
        "loginctl enable-linger $USER");
  return true;
}

}  // namespace hm::cli
