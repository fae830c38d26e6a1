// The CA and the bundles that clients are pointed at; made or renewed when needed. Blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/client_env.h"
#include "cli/context.h"
#include "cli/settings.h"
#include "common/base/result.h"

namespace hm::cli {

// The home's own bundle and CA.
[[nodiscard]] ClientPlaces home_places(const Home& home);
[[nodiscard]] ClientPlaces home_places(const Home& home, const Settings& settings);

// Makes the home's folder. Empty: it is there and takes files; else one sentence about why not.
[[nodiscard]] std::string unusable_home(const Home& home);
inline constexpr std::string_view kOtherHome =
    "make it writable for you, or name another folder in HALTON_METER_HOME";

// The same with a bundle of its own in the folder of a pair: for a command with roots of its own.
[[nodiscard]] ClientPlaces places_in(const Home& home, const std::filesystem::path& folder);

// Makes the CA on first use; its certificate in PEM.
[[nodiscard]] Result<std::string> ensure_authority(const Context& context,
                                                   const std::vector<std::string>& hosts);

// System roots, then `extra_roots` (files), then our CA.
[[nodiscard]] Result<void> ensure_bundle(const ClientPlaces& places,
                                         const std::string& authority_pem,
                                         const std::vector<std::string>& extra_roots);

// All that clients of the usual pair need to trust it.
[[nodiscard]] Result<ClientPlaces> ensure_certificates(const Context& context,
                                                       const Settings& settings);

// earlier_roots() that can be read.
[[nodiscard]] std::vector<std::string> readable_earlier_roots(
    const Environment& environment, const std::vector<ClientPlaces>& ours);

}  // namespace hm::cli
