// Step 6 of an installation: the environment of shells and of the session, and the sentinels.
#include "cli/init_command.h"
#include "cli/installer.h"
#include "cli/pair_state.h"
#include "cli/rc_block.h"
#include "cli/trust_files.h"
#include "cli/user_places.h"
#include "common/config/last_good.h"

namespace hm::cli {

std::filesystem::path environment_d_file(const Context& context) {
  return user_config(context.environment) / "environment.d" / "60-halton-meter.conf";
}

EnvFilesPlan Installer::env_plan() const {
  return {.places = places_,
          .ports_file = context_.home.ports(),
          .upstream = config::load_in_force(context_.home.config()).config.upstream.proxy};
}

void refresh_session_environment(const Context& context) {
  const auto file = environment_d_file(context);
  const auto now = read_file(file, 64 * 1024);
  const auto ports = bound_ports(context.place);
  if (!now || !ports || ports->edge == 0 || installed_mode(context.home) != InstallMode::apps)
    return;
  EnvFilesPlan plan;
  plan.places = home_places(context.home, load_settings(context));
  plan.places.edge_port = ports->edge;
  const std::string text = environment_d_text(plan);
  if (text == *now || !replace_file(file, text, 0644)) return;
  *context.err << "Note: the edge is at port " << ports->edge
               << " now; programs that the session has started already know the old one until they "
                  "are started again.\n";
  const Systemd systemd(context);
  if (systemd.usable()) static_cast<void>(systemd.call({"daemon-reload"}));
}

bool Installer::install_environment() {
  steps_.begin("environment");
  const Home& home = context_.home;
  const bool apps = wishes_.mode == InstallMode::apps;
  // The edge may have told it somewhere else, when the unit has a drop-in. Port 0 would cut every
  // program of the session off.
  if (apps && places_.edge_port == 0)
    return refuse(
        "the edge's port is not in " + home.ports().string(),
        "systemctl --user cat " + std::string(kEdgeUnit) + "; halton-meter logs --since 5m");
  if (apps) {
    if (!write_env_files() || !write_rc_blocks()) return false;
  } else {
    remove_env_files();
  }
  const auto mode =
      files_.write(home.install_mode(), std::string(name_of(wishes_.mode)) + "\n", 0600);
  const auto sentinel =
      apps ? files_.write(home.apps_managed(), "", 0600) : files_.remove(home.apps_managed());
  const auto wish = wishes_.shell_rc ? files_.remove(no_shell_rc_file(home))
                                     : files_.write(no_shell_rc_file(home), "", 0600);
  if (!mode || !sentinel || !wish)
    return refuse("the sentinels in " + home.root().string() + " cannot be written",
                  "see whether the disk is full and the folder is yours");
  if (apps && systemd_.usable()) static_cast<void>(systemd_.call({"daemon-reload"}));
  anything_new_ = anything_new_ || files_.changed();
  remember_folders();
  steps_.done(apps ? (wishes_.shell_rc ? "new shells and the session"
                                       : "the session; no shell's "
                                         "start file")
                   : "untouched (env-only)");
  return true;
}

bool Installer::write_env_files() {
  const EnvFilesPlan plan = env_plan();
  const std::pair<std::filesystem::path, std::string> all[] = {
      {context_.home.env_sh(), env_sh_text(plan)},
      {context_.home.env_fish(), env_fish_text(plan)},
      {environment_d_file(context_), environment_d_text(plan)}};
  for (const auto& [file, text] : all) {
    const auto wrote = files_.write(file, text, file == environment_d_file(context_) ? 0644 : 0600);
    if (!wrote)
      return refuse(file.string() + " cannot be written: " + describe(wrote.error()),
                    "make the folder writable for you, then: " + init_command(wishes_));
  }
  return true;
}

bool Installer::write_rc_blocks() {
  for (const RcFile& rc : rc_files(context_.environment)) {
    const auto now = read_file(rc.path);
    if (!now && now.error().code != Code::not_found) {
      notes_.push_back(rc.path.string() + " cannot be read and is left alone");
      continue;
    }
    const std::string text = now.value_or(std::string());
    if (!wishes_.shell_rc) continue;
    if (!rc.wanted) continue;
    const auto& env_file =
        rc.shell == RcShell::fish ? context_.home.env_fish() : context_.home.env_sh();
    const auto wrote =
        files_.write(rc.path, with_block(text, rc_line(env_file, rc.shell), !now), 0644);
    if (!wrote)
      notes_.push_back(
          rc.path.string() + " cannot be written (" + describe(wrote.error()) +
          "); put this line into it yourself: " + trimmed(rc_line(env_file, rc.shell)));
  }
  return true;
}

void Installer::remove_env_files() {
  for (std::string& sentence : remove_environment(context_, files_, !wishes_.shell_rc))
    notes_.push_back(std::move(sentence));
  if (systemd_.usable() && files_.changed()) static_cast<void>(systemd_.call({"daemon-reload"}));
}

std::filesystem::path made_folders_file(const Home& home) {
  return home.root() / "made-folders";
}

void Installer::remember_folders() {
  const auto file = made_folders_file(context_.home);
  std::string text = read_file(file, 64 * 1024).value_or(std::string());
  for (const auto& folder : files_.made_folders()) {
    const std::string line = folder.string() + "\n";
    if (!folder.native().starts_with(context_.home.root().native()) &&
        text.find(line) == std::string::npos)
      text += line;
  }
  if (!text.empty()) static_cast<void>(files_.write(file, text, 0600));
}

std::vector<std::string> remove_environment(const Context& context, FileChanges& files,
                                            bool keep_rc) {
  std::vector<std::string> resisted;
  const auto check = [&](const std::filesystem::path& file, const Result<bool>& done) {
    if (!done)
      resisted.push_back(file.string() + " still holds lines of ours (" + describe(done.error()) +
                         "); remove what stands between the marks "
                         "# >>> halton-meter >>> and # <<< halton-meter "
                         "<<<");
  };
  for (const RcFile& rc : rc_files(context.environment)) {
    if (keep_rc) break;
    const auto text = read_file(rc.path);
    if (!text || !has_block(*text)) continue;
    bool made_by_us = false;
    const std::string rest = without_block(*text, made_by_us);
    std::error_code unresolved;
    const auto file = std::filesystem::weakly_canonical(rc.path, unresolved);  // a link stays
    check(rc.path, made_by_us ? files.remove(unresolved ? rc.path : file)
                              : files.write(rc.path, rest, 0644));
  }
  for (const auto& file :
       {environment_d_file(context), context.home.env_sh(), context.home.env_fish()})
    check(file, files.remove(file));
  return resisted;
}

}  // namespace hm::cli
