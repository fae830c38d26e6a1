// What a command may know of the world around it. Tests bring their own.
#pragma once

#include <functional>
#include <istream>
#include <map>
#include <ostream>
#include <string>
#include <string_view>

#include "cli/table.h"
#include "common/base/clock.h"
#include "common/base/fs.h"

namespace hm::cli {

// Exit codes of every command; `run` passes on its child's.
enum Exit : int {
  kFine = 0,
  kNotWell = 1,      // the thing checked is not well, or the work failed
  kUsage = 2,        // the command line cannot be understood
  kEnvironment = 3,  // the surroundings cannot carry it
};

using Environment = std::map<std::string, std::string, std::less<>>;

[[nodiscard]] Environment environment_of(const char* const* envp);
// Empty when it is not set; an empty variable counts as not set.
[[nodiscard]] std::string_view look_up(const Environment& environment, std::string_view name);

struct Context {
  std::string version;
  Environment environment;
  Home home{std::filesystem::path()};
  RunPlace place;                        // of the usual pair
  std::filesystem::path program_folder;  // where the sibling binaries are
  const Clock* clock = &system_clock();
  std::istream* in = nullptr;   // null: nothing to read
  std::ostream* out = nullptr;  // data
  std::ostream* err = nullptr;  // talk
  TableStyle style;             // of out
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool colour = false;      // on out
  bool err_colour = false;  // on err
};

[[nodiscard]] std::string coloured(const Context& context, std::string_view text,
                                   std::string_view sgr);  // sgr: "32" green, "33", "31"

}  // namespace hm::cli
