// The edge that stays after `uninstall` for programs that carry its address. Until the next logout
// it has a unit and a home in the user's runtime folder, so that it is started again when it
// crashes, at the same port, and makes nothing in the home that was left. Blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "cli/context.h"

namespace hm::cli {

[[nodiscard]] std::filesystem::path remaining_edge_home(const Context& context);
[[nodiscard]] std::filesystem::path remaining_edge_unit(const Context& context);

// The installed unit with that home and that port.
[[nodiscard]] std::string remaining_unit_text(std::string_view unit_text,
                                              const std::filesystem::path& home, uint16_t port);

// Writes both, from what is installed. The edge that runs goes on as it is.
void keep_remaining_edge(const Context& context, uint16_t port);

// Nobody needs it any more: unit, home and what is in memory go. Ends no process.
void remove_remaining_edge(const Context& context);

}  // namespace hm::cli
