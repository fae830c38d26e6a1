#include "cli/usable_home.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hm::cli {

std::string unusable_home(const Home& home) {
  if (const auto made = ensure_dir(home.root()); !made)
    return home.root().string() + " cannot be made (" + describe(made.error()) + ")";
  if (::access(home.root().c_str(), W_OK | X_OK) != 0)
    return home.root().string() + " cannot be written to (" + std::strerror(errno) + ")";
  return {};
}

}  // namespace hm::cli
