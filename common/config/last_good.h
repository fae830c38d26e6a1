// A configuration that outlives a mistake in its file. A process that is started again while
// config.toml has a fault (a typo, and then a crash, an upgrade, a login) goes on with what was in
// force: with defaults it would leave its port and its upstream proxy, and every tool that carries
// the port would be refused. Blocks; any thread.
#pragma once

#include <filesystem>

#include "common/config/config.h"

namespace hm::config {

// Beside the file, 0600: it may hold a proxy's password.
[[nodiscard]] std::filesystem::path last_good_file(const std::filesystem::path& path);

// load(), and of a file with a fault the last one without. The warnings say so.
[[nodiscard]] Loaded load_in_force(const std::filesystem::path& path);

// What load() found without a fault is kept; of a file that is gone nothing is. Errors are
// nobody's: then there is an older one, or none.
void remember(const std::filesystem::path& path);

}  // namespace hm::config
