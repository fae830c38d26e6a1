// The `init` to advise: one that keeps mode and wishes. A bare one makes the mode env-only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cli/installer.h"

namespace hm::cli {

[[nodiscard]] inline std::string init_command(std::optional<InstallMode> mode) {
  return mode == InstallMode::apps ? "halton-meter init --apps" : "halton-meter init";
}

[[nodiscard]] inline std::string init_command(const InstallWishes& wishes) {
  return init_command(wishes.mode) + (wishes.shell_rc ? "" : " --no-shell-rc");
}

// There when start files of shells are to be left alone: `init --no-shell-rc`, until --shell-rc.
[[nodiscard]] inline std::filesystem::path no_shell_rc_file(const Home& home) {
  return home.root() / "no-shell-rc";
}
[[nodiscard]] inline bool leaves_shell_rc(const Home& home) {
  std::error_code ignored;
  return std::filesystem::exists(no_shell_rc_file(home), ignored);
}

}  // namespace hm::cli
