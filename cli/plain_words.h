// Why something could not be done, in words for the user. describe() names places in our source,
// which are for the log.
#pragma once

#include <string>

#include "common/base/result.h"

namespace hm::cli {

[[nodiscard]] std::string in_words(const Error& error);  // "permission denied"; no full stop

}  // namespace hm::cli
