// Keys and tokens told by how they begin (`providers.md` 12): the last guard for texts that are
// kept although no provider should ever put a secret there. Pure.
#pragma once

#include <string_view>

namespace hm::meter {

// Anywhere in the text.
[[nodiscard]] bool looks_like_secret(std::string_view text);

}  // namespace hm::meter
