// Can the home be worked with at all? Blocks.
#pragma once

#include <string>
#include <string_view>

#include "common/base/fs.h"

namespace hm::cli {

// Makes the home's folder. Empty: it is there and takes files; else one sentence about why not.
[[nodiscard]] std::string unusable_home(const Home& home);

inline constexpr std::string_view kOtherHome =
    "make it writable for you, or name another folder in HALTON_METER_HOME";

}  // namespace hm::cli
