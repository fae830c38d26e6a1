// Changes to config.toml that leave the user's text alone. Pure.
#pragma once

#include <string>
#include <string_view>

namespace hm::cli {

// The text with `proxy` (and `no_proxy`, from a comma list) in its [upstream] table, which is made
// when there is none.
[[nodiscard]] std::string with_upstream_proxy(std::string_view toml, std::string_view proxy_url,
                                              std::string_view no_proxy);

}  // namespace hm::cli
