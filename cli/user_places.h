// Where files of the user's session are, outside our own home. Paths only.
#pragma once

#include <filesystem>

#include "cli/context.h"

namespace hm::cli {

[[nodiscard]] std::filesystem::path user_home(const Environment& environment);    // $HOME, passwd
[[nodiscard]] std::filesystem::path user_config(const Environment& environment);  // ~/.config
[[nodiscard]] std::string user_name(const Environment& environment);

// $XDG_RUNTIME_DIR, or /run/user/UID when it is there and ours; empty: there is none. A shell that
// was not opened by a login (su, sudo -u, ssh command) often lacks the variable.
[[nodiscard]] std::filesystem::path runtime_folder(const Environment& environment);

// Did HALTON_METER_HOME move the home? Then it is a world of its own.
[[nodiscard]] bool home_is_moved(const Environment& environment);

}  // namespace hm::cli
