// The files that bring a whole session's calls through the meter: env.sh and env.fish, which a
// shell sources, and environment.d for what the user manager starts. Pure.
//
// A shell that sources env.sh looks whether our edge accepts (it reads effective-ports.json and the
// name of one process, starts none, waits for nobody), and sets the variables or, when it does not,
// takes away what an earlier shell had set.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/client_env.h"

namespace hm::cli {

struct EnvFilesPlan {
  ClientPlaces places;
  std::filesystem::path ports_file;
  std::string upstream;  // the proxy that [upstream] names; comes back when the edge is gone
};

[[nodiscard]] std::string env_sh_text(const EnvFilesPlan& plan);
[[nodiscard]] std::string env_fish_text(const EnvFilesPlan& plan);
[[nodiscard]] std::string environment_d_text(const EnvFilesPlan& plan);

// Every name that those files may set, separated by spaces; HALTON_METER_ENV_PORT among them, which
// marks variables as theirs.
[[nodiscard]] std::string env_variable_names();

// A word of a command line: as it is when every shell takes it so, else quoted.
[[nodiscard]] std::string shell_quoted(std::string_view text, bool fish);

}  // namespace hm::cli
