#include "cli/removal.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <ranges>
#include <set>
#include <sstream>
#include <system_error>

#include "cli/client_env.h"
#include "cli/env_files.h"
#include "cli/init_command.h"
#include "cli/installer.h"
#include "cli/leftovers.h"
#include "cli/pair_state.h"
#include "cli/remaining_edge.h"
#include "cli/settings.h"
#include "cli/units.h"
#include "common/base/memory_folder.h"

namespace hm::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPatienceMs = 20'000;
constexpr useconds_t kLookEveryUs = 5'000'000;

// What a client of the edge needs, and the edge itself: its log it would make anew.
bool of_the_edge(std::string_view name) {
  return name == "python" || name == "ca" || name == "config.toml" ||
         name.starts_with("effective-ports.json") || name.starts_with("edge-ledger.") ||
         name.starts_with("edge.err.log") || name == "run";
}

bool is_data(std::string_view name) {
  return name.starts_with("db.sqlite") || name.starts_with("daemon.err.log") ||
         name.starts_with("edge.err.log") || name.starts_with("supervisor.err.log") ||
         name == "spool" || name.starts_with("edge-ledger.") ||
         name.starts_with("daemon-ledger.") ||
         name == "key-print.secret";  // of prints in db.sqlite
}

// Everything that any of our programs makes in its home. Whoever moved the home into a folder with
// things of their own keeps those.
bool is_ours(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kNames = {
      "config.toml", "rates.toml", "install-mode", "apps-managed",   "made-folders",
      "ca-refusals", "env.sh",     "env.fish",     "supervisor.pid", "no-shell-rc"};
  return is_data(name) || of_the_edge(name) ||
         std::ranges::any_of(kNames, [&](std::string_view known) {  // "x.tmp" is a half-written x
           return name.starts_with(known) &&
                  (name.size() == known.size() || name[known.size()] == '.');
         });
}

// What no process of an uninstalled pair writes. An edge that stays keeps its own files, Python
// makes a folder beside the modules it loads, and the interceptor may be finishing calls: where the
// database was kept, only an open one tells.
bool tells_of_use(std::string_view name, bool data_too) {
  if (name.starts_with("db.sqlite")) return data_too || name == "db.sqlite-wal";
  return is_ours(name) && !is_data(name) && !name.starts_with("effective-ports.json") &&
         name != "run" && name != "python" && name != "supervisor.pid" && name != "ca-refusals";
}

// Not by the time of the uninstallation: clocks are set back, and other machines' file systems have
// their own.
std::set<std::string> found_signs(const fs::path& root, bool data_too) {
  std::set<std::string> signs;
  std::error_code error;
  for (fs::directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    struct stat info{};
    if (!tells_of_use(name, data_too) || ::lstat(at->path().c_str(), &info) != 0) continue;
    signs.insert(name + ":" + std::to_string(info.st_ino) + ":" +
                 std::to_string(info.st_ctim.tv_sec) + "." + std::to_string(info.st_ctim.tv_nsec));
  }
  return signs;
}

}  // namespace

std::vector<CarryingProcess> Removal::carriers() const {
  std::vector<CarryingProcess> found;
  std::set<pid_t> known;
  const auto ports = load_settings(context_).known_edge_ports;
  for (const uint16_t port : ports) {
    const std::string proxy = "http://127.0.0.1:" + std::to_string(port);
    for (const char* name : {"HTTPS_PROXY", "https_proxy"})
      for (CarryingProcess& process : processes_carrying(name, proxy))
        if (known.insert(process.pid).second) found.push_back(std::move(process));
    // A shell that exported it itself shows it to us, and not in /proc.
    const bool ours = look_up(context_.environment, "HTTPS_PROXY") == proxy ||
                      look_up(context_.environment, "https_proxy") == proxy;
    if (!ours || !known.insert(::getppid()).second) continue;
    if (auto shell = process_named(::getppid())) found.push_back(std::move(*shell));
  }
  // Our own processes carry it at most by inheritance and do not use it.
  std::erase_if(found, [](const CarryingProcess& process) {
    return process.name.starts_with("halton-meter") || process.name == "systemd" ||
           process.name == "(sd-pam)";
  });
  return found;
}

// In mode apps each open terminal has sourced env.sh, most likely.
void Removal::add_shells(std::vector<CarryingProcess>& found) const {
  for (CarryingProcess& shell : interactive_shells()) {
    const auto same = [&](const CarryingProcess& other) { return other.pid == shell.pid; };
    if (std::ranges::none_of(found, same)) found.push_back(std::move(shell));
  }
}

std::vector<CarryingProcess> Removal::run(bool now) {
  std::vector<fs::path> folders;
  std::istringstream lines(
      read_file(made_folders_file(context_.home), 64 * 1024).value_or(std::string()));
  for (std::string line; std::getline(lines, line);) folders.emplace_back(line);

  // From here on no new program gets our address.
  const bool shells = installed_mode(context_.home) == InstallMode::apps;
  remove_from_session();
  std::vector<CarryingProcess> still;
  if (!now) still = carriers();
  if (!now && shells) add_shells(still);
  end_interceptor();
  const bool edge_runs = StatusAnswer::ask(context_.place.edge_socket).has_value() ||
                         service_.systemd().state(kEdgeUnit) == "active";
  const bool stays = edge_runs && !still.empty();
  if (stays) {
    keep_edge_for_now();
    *context_.err << "The edge stays, without metering, for programs that carry its address:\n";
    for (const CarryingProcess& process : still)
      *context_.err << "  " << process.name << " (PID " << process.pid << ")\n";
    *context_.err << "It ends when they have ended, or at once with halton-meter uninstall --now. "
                     "A shell gives\n"
                     "it up with: unset "
                  << env_variable_names() << "\n";
  } else {
    end_edge();
  }
  remove_units();
  for (const auto& file : {context_.home.install_mode(), context_.home.apps_managed(),
                           no_shell_rc_file(context_.home), made_folders_file(context_.home)})
    static_cast<void>(files_.remove(file));
  remove_folders(folders);
  return stays ? still : std::vector<CarryingProcess>();
}

void Removal::remove_from_session() {
  for (std::string& sentence : remove_environment(context_, files_, false))
    resisted_.push_back(std::move(sentence));
  if (service_.systemd().usable()) static_cast<void>(service_.systemd().call({"daemon-reload"}));
}

void Removal::end_interceptor() {
  if (service_.supervisor() != 0) {
    ::kill(service_.supervisor(), SIGUSR2);
    static_cast<void>(service_.wait_daemon_gone(kPatienceMs));
    return;
  }
  if (service_.systemd().usable())
    static_cast<void>(service_.systemd().call({"disable", "--now", kDaemonUnit}, 90'000));
}

void Removal::end_edge() {
  if (service_.systemd().usable()) {
    static_cast<void>(service_.systemd().call({"disable", "--now", kEdgeUnit}, 90'000));
    static_cast<void>(service_.systemd().call({"stop", kEdgeUnit}, 90'000));
  }
  end_processes(usual_processes(context_), kPatienceMs);
  remove_remaining_edge(context_);
}

void Removal::keep_edge_for_now() {
  if (service_.supervisor() != 0 || !service_.systemd().usable()) return;
  const auto status = StatusAnswer::ask(context_.place.edge_socket);
  const auto port = status ? status->number("edge_port") : std::nullopt;
  keep_remaining_edge(context_, port ? static_cast<uint16_t>(*port)
                                     : bound_ports(context_.place).value_or(BoundPorts{}).edge);
  static_cast<void>(service_.systemd().call({"disable", kEdgeUnit}));
}

void Removal::remove_units() {
  for (const char* unit : {kEdgeUnit, kDaemonUnit}) {
    const auto file = unit_file(context_, unit);
    if (const auto removed = files_.remove(file); !removed)
      resisted_.push_back(file.string() + " (" + describe(removed.error()) + ")");
    // `disable` needs a user manager; the link needs none to go.
    std::error_code ignored;
    fs::remove(units_folder(context_) / "default.target.wants" / unit, ignored);
  }
  std::error_code ignored;
  fs::remove(units_folder(context_) / "default.target.wants", ignored);  // when it is empty
  if (!service_.systemd().usable()) return;
  static_cast<void>(service_.systemd().call({"reset-failed", kEdgeUnit, kDaemonUnit}));
  static_cast<void>(service_.systemd().call({"daemon-reload"}));
}

void Removal::remove_folders(const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders | std::views::reverse) {
    std::error_code ignored;  // what holds something else stays
    fs::remove(folder, ignored);
  }
}

void Removal::purge(bool data_too, bool edge_stays) {
  remove_ours([&](std::string_view name) {
    return (data_too || !is_data(name)) && !(edge_stays && of_the_edge(name));
  });
  if (!edge_stays) remove_home(data_too);
}

void Removal::remove_ours(const std::function<bool(std::string_view name)>& goes) {
  std::error_code error;
  const fs::path& root = context_.home.root();
  for (fs::directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!is_ours(name) || !goes(name)) continue;
    std::error_code failed;
    fs::remove_all(at->path(), failed);
    if (failed) resisted_.push_back(at->path().string() + " (" + failed.message() + ")");
  }
  // What is no folder is none of ours.
  if (error && error != std::errc::no_such_file_or_directory &&
      error != std::errc::not_a_directory) {
    const std::string folder = root.string();
    resisted_.push_back(folder + " cannot be read (" + error.message() +
                        "): sudo chown -R \"$USER\" " + shell_quoted(folder, false) +
                        " and uninstall again");
  }
}

void Removal::remove_home(bool data_too) {
  remove_memory_folders(context_.home.root(), data_too);
  // Empty folders only: a file in their place is the user's.
  ::rmdir(context_.home.root().c_str());
  ::rmdir(context_.place.edge_socket.parent_path().c_str());
}

std::string Removal::signs_of_use(bool data_too) const {
  std::string signs;
  for (const std::string& sign : found_signs(context_.home.root(), data_too))
    signs += (signs.empty() ? "" : ",") + sign;
  return signs;
}

bool Removal::started_again() const {
  const PairService now(context_);
  if (now.units_installed()) return true;
  if (now.supervisor() != 0 && now.supervisor() != service_.supervisor()) return true;
  const auto daemon = StatusAnswer::ask(context_.place.daemon_socket);
  return daemon && daemon->number("leaving") != 1;  // else it finishes calls of before
}

bool Removal::stop_edge_when_unused(const std::vector<CarryingProcess>& listed) {
  while (std::ranges::any_of(listed, still_runs) || !carriers().empty()) {
    if (started_again()) return false;
    ::usleep(kLookEveryUs);
  }
  if (started_again()) return false;
  end_edge();
  remove_memory_folders(context_.home.root(), false);
  ::rmdir(context_.place.edge_socket.parent_path().c_str());
  if (service_.systemd().usable()) static_cast<void>(service_.systemd().call({"daemon-reload"}));
  return true;
}

void Removal::purge_rest(bool data_too, const std::string& left) {
  std::set<std::string> before;
  std::istringstream words(left);
  for (std::string word; std::getline(words, word, ',');) before.insert(word);
  if (!std::ranges::includes(before, found_signs(context_.home.root(), data_too))) return;
  remove_ours(
      [&](std::string_view name) { return is_data(name) ? data_too && of_the_edge(name) : true; });
  remove_home(data_too);
}

}  // namespace hm::cli
