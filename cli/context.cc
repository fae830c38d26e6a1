#include "cli/context.h"

namespace hm::cli {

Environment environment_of(const char* const* envp) {
  Environment environment;
  for (; envp != nullptr && *envp != nullptr; ++envp) {
    const std::string_view entry = *envp;
    const size_t equals = entry.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    // The first of a name is the one getenv() finds.
    environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

std::string_view look_up(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

std::string coloured(const Context& context, std::string_view text, std::string_view sgr) {
  if (!context.colour) return std::string(text);
  return "\x1b[" + std::string(sgr) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace hm::cli
