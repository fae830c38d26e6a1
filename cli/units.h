// The two unit files, made for the place of this program's binaries and for this home. Blocks where
// it reads them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "cli/context.h"

namespace hm::cli {

[[nodiscard]] std::string_view edge_unit_template();    // units/halton-meter-edge.service
[[nodiscard]] std::string_view daemon_unit_template();  // units/halton-meter.service

// The template with the absolute path of the binaries; with HALTON_METER_HOME when that moves the
// home.
[[nodiscard]] std::string unit_text(std::string_view unit_template, const Context& context);

// One word of a line, as systemd.syntax(7) wants it: also an Exec line's program.
[[nodiscard]] std::string unit_word(std::string_view text);
// An argument of an Exec line. There, and only there, systemd fills in $variables.
[[nodiscard]] std::string unit_argument(std::string_view text);

[[nodiscard]] std::filesystem::path units_folder(const Context& context);
[[nodiscard]] std::filesystem::path unit_file(const Context& context, std::string_view unit);

// The home that the installed units are for; empty: there are none.
[[nodiscard]] std::optional<std::filesystem::path> home_of_units(const Context& context);

// The program of an ExecStart= line, empty when there is none.
[[nodiscard]] std::string program_of_unit(std::string_view text);

}  // namespace hm::cli
