// The eight steps of `init`, and their way back. Each step repairs what it finds and changes
// nothing that is right already. Blocks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/client_env.h"
#include "cli/context.h"
#include "cli/env_files.h"
#include "cli/file_changes.h"
#include "cli/settings.h"
#include "cli/steps.h"
#include "cli/systemd.h"

namespace hm::cli {

enum class InstallMode : unsigned char { env_only, apps };

[[nodiscard]] const char* name_of(InstallMode mode);
// What the sentinel in the home says; empty: not installed, or a word that is none of ours.
[[nodiscard]] std::optional<InstallMode> installed_mode(const Home& home);

// What keeps the mode: a bare init makes it env-only.
[[nodiscard]] std::string init_command(std::optional<InstallMode> mode);

struct InstallWishes {
  InstallMode mode = InstallMode::env_only;
  std::optional<bool> shell_rc;  // may start files of shells be written to? As last time, else yes
  bool clean = false;    // supervisor files anew, and back to before when it does not work
  bool may_ask = false;  // on a terminal, before calls that are open are drained
};

class Installer {
 public:
  Installer(Context& context, const InstallWishes& wishes);

  // The exit code of `init`.
  [[nodiscard]] int run();

 private:
  // Each says what came of it through steps_; false: it failed, and that was said too.
  [[nodiscard]] bool make_home();
  [[nodiscard]] bool make_authority();
  [[nodiscard]] bool make_bundle();
  [[nodiscard]] bool look_at_ports();
  [[nodiscard]] bool install_units();
  [[nodiscard]] bool install_environment();
  [[nodiscard]] bool wait_for_health();
  [[nodiscard]] bool self_test();

  void adopt_earlier_proxy();
  void adopt_earlier_roots();
  [[nodiscard]] bool change_config(std::string_view what, std::string_view key,
                                   std::string_view value, std::string_view no_proxy = {});
  [[nodiscard]] bool is_somebody_elses();
  [[nodiscard]] bool write_unit(const char* unit, std::string_view unit_template, bool& changed);
  [[nodiscard]] bool daemon_is_current() const;
  [[nodiscard]] bool start_units(bool edge_changed, bool daemon_changed);
  [[nodiscard]] bool write_env_files();
  void remove_env_files();
  void remember_folders();
  [[nodiscard]] bool write_rc_blocks();
  void watch_home();
  void roll_back();
  [[nodiscard]] bool refuse(std::string_view finding, std::string_view next_action);
  [[nodiscard]] std::string again() const;  // the same init
  [[nodiscard]] EnvFilesPlan env_plan() const;

  Context& context_;
  const InstallWishes wishes_;
  const bool shell_rc_;
  Steps steps_;
  Systemd systemd_;
  Settings settings_;
  FileChanges files_;
  ClientPlaces places_;
  std::string authority_pem_;
  std::vector<std::string> notes_;  // for the end
  bool edge_was_active_ = false;
  bool daemon_was_active_ = false;
  bool units_were_enabled_ = false;
  bool touched_units_ = false;
  bool anything_new_ = false;
  int code_ = 0;
};

// Takes our variables out of files and session: rc blocks, env.sh, environment.d. What resisted, as
// sentences.
[[nodiscard]] std::vector<std::string> remove_environment(const Context& context,
                                                          FileChanges& files, bool keep_rc);

// The session's variables name a port. When the edge has another one than they say, writes them
// again.
void refresh_session_environment(const Context& context);

[[nodiscard]] std::filesystem::path environment_d_file(const Context& context);

// Outside the home: what an installation made and an uninstallation removes again when it is empty.
[[nodiscard]] std::filesystem::path made_folders_file(const Home& home);

}  // namespace hm::cli
