// The one line that an installation puts into a shell's start file, between two marks, and how it
// goes again without a trace. Pure.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"

namespace hm::cli {

enum class RcShell : unsigned char { posix, fish };  // bash and zsh read the same line

struct RcFile {
  std::filesystem::path path;
  RcShell shell = RcShell::posix;
  bool wanted = false;  // it is there, or it is the login shell's own
};

// Those of bash, zsh and fish.
[[nodiscard]] std::vector<RcFile> rc_files(const Environment& environment);

// The guarded line: sources env.sh when it is there; when not, takes away what it had set.
[[nodiscard]] std::string rc_line(const std::filesystem::path& env_file, RcShell shell);

// The text with exactly one block at the place of the first one, else at its end. `new_file`: there
// was no file, so that without the block there is none again (an empty one may be there on
// purpose).
[[nodiscard]] std::string with_block(std::string_view text, std::string_view line,
                                     bool new_file = false);

// The text as it was before. `made_by_us`: nothing but the block was ever in the file.
[[nodiscard]] std::string without_block(std::string_view text, bool& made_by_us);

[[nodiscard]] bool has_block(std::string_view text);

}  // namespace hm::cli
