// The frame of an installation, and its steps about files of the home and about proof. Units are in
// installer_units.cc, the session's environment in installer_env.cc.
#include "cli/installer.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cli/config_edit.h"
#include "cli/init_command.h"
#include "cli/pair_service.h"
#include "cli/pair_state.h"
#include "cli/period.h"
#include "cli/remaining_edge.h"
#include "cli/self_test.h"
#include "cli/text.h"
#include "cli/trust_files.h"
#include "cli/units.h"
#include "cli/usable_home.h"
#include "common/base/port_holder.h"
#include "common/config/last_good.h"
#include "interceptor/tls/ca_store.h"

namespace hm::cli {
namespace {

constexpr int kSteps = 8;
constexpr int64_t kHealthLimitMs = 30'000;

// "~/x" for a person.
std::string shown(const Context& context, const std::filesystem::path& path) {
  const std::string home = std::string(look_up(context.environment, "HOME")) + "/";
  const std::string text = path.string();
  return home.size() > 1 && text.starts_with(home) ? "~/" + text.substr(home.size()) : text;
}

}  // namespace

const char* name_of(InstallMode mode) {
  return mode == InstallMode::apps ? "apps" : "env-only";
}

std::optional<InstallMode> installed_mode(const Home& home) {
  const auto text = read_file(home.install_mode(), 256);
  if (!text) return std::nullopt;
  const std::string word = trimmed(*text);
  if (word == "apps") return InstallMode::apps;
  if (word == "env-only") return InstallMode::env_only;
  return std::nullopt;
}

Installer::Installer(Context& context, const InstallWishes& wishes)
    : context_(context),
      wishes_(wishes),
      steps_(context, kSteps),
      systemd_(context),
      places_(home_places(context.home)) {}

bool Installer::refuse(std::string_view finding, std::string_view next_action) {
  steps_.failed(finding, next_action);
  if (code_ == kFine) code_ = kNotWell;
  return false;
}

int Installer::run() {
  edge_was_active_ = systemd_.state(kEdgeUnit) == "active";
  daemon_was_active_ = systemd_.state(kDaemonUnit) == "active";
  units_were_enabled_ = systemd_.property(kEdgeUnit, "UnitFileState") == "enabled";
  if (is_somebody_elses()) return kNotWell;
  if (wishes_.clean) watch_home();
  const auto before = installed_mode(context_.home);
  if (before && *before != wishes_.mode)
    notes_.push_back(std::string("the mode was ") + name_of(*before) + " and is " +
                     name_of(wishes_.mode) + " now");
  const bool well = make_home() && make_authority() && make_bundle() && look_at_ports() &&
                    install_units() && install_environment() && wait_for_health() && self_test();
  if (!well) {
    if (wishes_.clean) roll_back();
    return code_;
  }
  remove_remaining_edge(context_);  // the edge has unit and home of the installation again
  for (const std::string& note : notes_) *context_.err << "Note: " << note << "\n";
  *context_.err << "Halton Meter " << context_.version << " is installed, mode "
                << name_of(wishes_.mode) << (anything_new_ ? "" : "; nothing had to be changed")
                << ".\n";
  if (wishes_.mode == InstallMode::env_only) {
    *context_.err
        << "Next: halton-meter run -- COMMAND    (init --apps meters every new terminal)\n";
  } else if (wishes_.shell_rc) {
    *context_.err << "Next: open a new terminal; tools started there are metered.\n";
  } else {
    *context_.err << "Next: . " << shown(context_, context_.home.env_sh())
                  << "    in the shells that shall be metered\n";
  }
  return kFine;
}

// Units, start files and environment.d are there once for a user, whatever HALTON_METER_HOME says.
bool Installer::is_somebody_elses() {
  const auto other = home_of_units(context_);
  if (!other || *other == context_.home.root()) return false;
  *context_.err << "halton-meter init: the services of this user belong to the home "
                << other->string() << ", not to " << context_.home.root().string()
                << ". halton-meter run works with any home.\nWhat to do, to move the services: "
                   "HALTON_METER_HOME="
                << shell_quoted(other->string(), false) << " halton-meter uninstall && "
                << init_command(wishes_) << "\n";
  return true;
}

// --- 1: home ------------------------------------------------------------------------------------

bool Installer::make_home() {
  steps_.begin("home");
  const auto& root = context_.home.root();
  std::error_code ignored;
  const bool was_there = std::filesystem::exists(root, ignored);
  if (const std::string problem = unusable_home(context_.home); !problem.empty()) {
    code_ = kEnvironment;
    return refuse(problem, kOtherHome);
  }
  std::string detail = shown(context_, root);
  struct stat info{};
  if (::stat(root.c_str(), &info) == 0 && (info.st_mode & 077U) != 0) {
    if (::chmod(root.c_str(), 0700) != 0)
      return refuse(root.string() + " is open to others", "chmod 700 " + root.string());
    detail += " (closed to others now)";
    anything_new_ = true;
  }
  anything_new_ = anything_new_ || !was_there;
  adopt_earlier_proxy();
  adopt_earlier_roots();
  settings_ = load_settings(context_);
  for (const std::string& warning : config::load_in_force(context_.home.config()).warnings)
    notes_.push_back("configuration: " + warning);
  steps_.done(detail);
  return true;
}

// Whoever needed a proxy to get out needs it behind us, too.
void Installer::adopt_earlier_proxy() {
  const Settings before = load_settings(context_);
  if (before.has_upstream_proxy) return;
  if (!look_up(context_.environment, "HALTON_METER_RUN_DIR").empty()) return;  // a run's own
  const EarlierProxy proxy = earlier_proxy(context_.environment, before.known_edge_ports);
  if (proxy.url.empty()) return;
  config::ProxyAddress address;
  if (!proxy.supported || !config::parse_proxy(proxy.url, address)) {
    notes_.push_back(
        "the proxy in your environment is not an http://host:port one, so it cannot be the "
        "upstream proxy; shells that have it set keep it and are not metered");
    return;
  }
  const std::string_view bypass = either(context_.environment, "no_proxy", "NO_PROXY");
  if (change_config("the proxy in your environment", "proxy", toml_string(proxy.url), bypass))
    notes_.push_back("the proxy of your environment, " + address.host + ":" +
                     std::to_string(address.port) +
                     ", is now the upstream proxy ([upstream] in config.toml)");
}

// Whoever needed roots of their own, behind a company's TLS inspection, needs them behind us, too:
// the interceptor for the origins, the clients for everything that is not metered.
void Installer::adopt_earlier_roots() {
  if (!load_settings(context_).upstream_roots.empty()) return;
  if (!look_up(context_.environment, "HALTON_METER_RUN_DIR").empty()) return;  // a run's own
  const auto files = readable_earlier_roots(context_.environment, {places_});
  if (files.empty()) return;
  if (change_config("the CA file in your environment", "ca_file", toml_string(files.front())))
    notes_.push_back("the CA file of your environment, " + files.front() +
                     ", is trusted beside the system's ([upstream] in config.toml)");
}

bool Installer::change_config(std::string_view what, std::string_view key, std::string_view value,
                              std::string_view no_proxy) {
  const auto not_taken = [&](const std::string& why) {
    notes_.push_back(std::string(what) + " could not be written to config.toml (" + why +
                     "); put it into [upstream] " + std::string(key) + " there");
    return false;
  };
  const auto text = read_file(context_.home.config(), 1024 * 1024);
  if (!text && text.error().code != Code::not_found) return not_taken(describe(text.error()));
  const std::string before = text.value_or(std::string());
  if (const auto faults = config::parse(before, "config.toml").faults; !faults.empty())
    return not_taken(faults.front() + "; mend that, then " + init_command(wishes_));
  std::string after = with_upstream(before, key, value);
  if (const std::string list = toml_list(no_proxy);
      list != "[]" && !has_upstream(before, "no_proxy"))
    after = with_upstream(after, "no_proxy", list);
  if (config::parse(after, "config.toml").warnings.size() >
      config::parse(before, "config.toml").warnings.size())
    return not_taken("the file has it in a form that is not changed by a program");
  if (const auto wrote = files_.write(context_.home.config(), after, 0600); !wrote)
    return not_taken(describe(wrote.error()));
  anything_new_ = true;
  return true;
}

// --- 2, 3: certificates -------------------------------------------------------------------------

bool Installer::make_authority() {
  steps_.begin("CA certificate");
  const auto& folder = context_.home.ca_dir();
  std::error_code ignored;
  const bool was_there = std::filesystem::exists(context_.home.ca_cert(), ignored);
  const auto authority =
      tls::Authority::load_or_create(folder, settings_.metered_hosts, *context_.clock);
  if (!authority) {
    const bool open = authority.error().code == Code::permission;
    return refuse(
        "the CA in " + folder.string() + " cannot be used: " + describe(authority.error()),
        open ? "chmod 700 " + folder.string() + " && chmod 600 " + context_.home.ca_key().string() +
                   " && " + init_command(wishes_)
             : "halton-meter setup --force && " + init_command(wishes_));
  }
  authority_pem_ = (*authority)->certificate_pem();
  for (const std::string& host : settings_.metered_hosts)
    if (!(*authority)->covers(host))
      return refuse("the CA is older than the configuration and does not cover " + printable(host),
                    "halton-meter setup --force && " + init_command(wishes_));
  anything_new_ = anything_new_ || !was_there;
  steps_.done((was_there ? "there, valid until " : "made, valid until ") +
              iso8601_utc((*authority)->not_after_us()).substr(0, 10));
  return true;
}

bool Installer::make_bundle() {
  steps_.begin("bundle");
  places_.own_roots = !settings_.upstream_roots.empty();
  const auto before = read_file(places_.bundle);
  const auto made = ensure_bundle(places_, authority_pem_, settings_.upstream_roots);
  if (!made)
    return refuse("the bundle of certificates cannot be made: " + describe(made.error()),
                  made.error().code == Code::not_found
                      ? "install the system's roots (package ca-certificates)"
                      : "see whether " + places_.bundle.parent_path().string() +
                            " is writable and the disk has room");
  const auto after = read_file(places_.bundle);
  const bool same = before && after && *before == *after;
  anything_new_ = anything_new_ || !same;
  steps_.done(shown(context_, places_.bundle) + (same ? ", current" : ", written"));
  return true;
}

// --- 4: ports -----------------------------------------------------------------------------------

// The processes take the next free port themselves; here it is said who is in the way.
bool Installer::look_at_ports() {
  steps_.begin("ports");
  const config::Config config = config::load_in_force(context_.home.config()).config;
  const auto bound = bound_ports(context_.place);
  const bool ours_run = edge_was_active_ || daemon_was_active_;
  std::string detail;
  std::vector<std::string> lines;
  const auto look = [&](const char* name, int64_t wanted, uint16_t known, const char* key) {
    detail += (detail.empty() ? "" : ", ") + std::string(name) + " " + std::to_string(wanted);
    if (ours_run && known == wanted) return;
    const auto holder = port_holder(static_cast<uint16_t>(wanted));
    if (!holder || holder->name.starts_with("halton-meter")) return;
    lines.push_back("port " + std::to_string(wanted) + " (" + name + ") is held by " +
                    printable(describe(*holder)) +
                    ": the next free one is taken; to pin another one, set " + key +
                    " in [daemon] of config.toml");
  };
  look("edge", config.daemon.edge_port, bound ? bound->edge : uint16_t{0}, "edge_port");
  look("intercept", config.daemon.internal_port, bound ? bound->internal : uint16_t{0},
       "internal_port");
  look("api", config.daemon.api_port, bound ? bound->api : uint16_t{0}, "api_port");
  steps_.done(detail);
  for (const std::string& line : lines) steps_.note(line);
  return true;
}

// --- 7, 8: proof --------------------------------------------------------------------------------

bool Installer::wait_for_health() {
  steps_.begin("health");
  const std::string missing = PairService(context_).wait_healthy(kHealthLimitMs);
  if (!missing.empty()) {
    return refuse(missing + " after " + std::to_string(kHealthLimitMs / 1000) + " s" +
                      its_log_ends_with(context_.home.daemon_log()),
                  "halton-meter logs --since 5m");
  }
  const auto ports = bound_ports(context_.place);
  steps_.done("edge at 127.0.0.1:" + std::to_string(ports ? ports->edge : 0));
  return true;
}

bool Installer::self_test() {
  steps_.begin("self-test");
  const auto ports = bound_ports(context_.place);
  const auto result = run_self_test({.edge_port = ports ? ports->edge : uint16_t{0},
                                     .bundle = places_.bundle,
                                     .database = context_.home.database()});
  if (!result) return refuse(result.error(), "halton-meter logs --since 5m");
  steps_.done("a call through the edge became a row after " +
              std::to_string(result->row_us / 1000) + " ms");
  return true;
}

// --- the way back -------------------------------------------------------------------------------

void Installer::watch_home() {
  const Home& home = context_.home;
  std::error_code ignored;
  if (!std::filesystem::exists(home.root(), ignored)) {
    files_.watch(home.root());  // all of it goes
    return;
  }
  files_.watch_new(home.ca_dir());
  files_.watch_new(home.python_dir());
  files_.watch(home.bundle());
  files_.watch_new(home.spool_dir());
  files_.watch_new(context_.place.edge_socket.parent_path());
  for (const auto& data : {home.database(), home.edge_log(), home.daemon_log()})
    for (const char* suffix : {"", "-wal", "-shm"}) files_.watch_new(data.string() + suffix);
  files_.watch(config::last_good_file(home.config()));
  files_.watch(home.ports());
  files_.watch_new(home.ports().string() + ".lock");
}

void Installer::roll_back() {
  *context_.err << "--clean: taking everything back ...\n" << std::flush;
  if (touched_units_) {
    if (!daemon_was_active_) static_cast<void>(systemd_.call({"stop", kDaemonUnit}));
    if (!edge_was_active_) static_cast<void>(systemd_.call({"stop", kEdgeUnit}));
    if (!units_were_enabled_) static_cast<void>(systemd_.call({"disable", kEdgeUnit, kDaemonUnit}));
  }
  const auto resisted = files_.roll_back();
  if (touched_units_) {
    static_cast<void>(systemd_.call({"reset-failed", kEdgeUnit, kDaemonUnit}));
    static_cast<void>(systemd_.call({"daemon-reload"}));
    if (edge_was_active_) static_cast<void>(systemd_.call({"restart", kEdgeUnit}));
    if (daemon_was_active_) static_cast<void>(systemd_.call({"restart", kDaemonUnit}));
  }
  for (const auto& path : resisted)
    *context_.err << "This could not be put back: " << path.string() << "\n";
  if (resisted.empty()) *context_.err << "The machine is as it was before.\n";
}

}  // namespace hm::cli
