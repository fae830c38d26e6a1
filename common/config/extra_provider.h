// Decides whether one [[provider]] of config.toml can be used. Pure.
#pragma once

#include <string>

#include "common/config/config.h"

namespace hm::config {

// Puts the host into lower case. Empty when it can be used, else what is wrong and what would be
// right, as the second half of a sentence.
[[nodiscard]] std::string check_provider(ExtraProvider& provider);

}  // namespace hm::config
