// `doctor --bundle`: what somebody needs who is to help, in one tar archive, redacted. Blocks.
#pragma once

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/context.h"

namespace hm::cli {

struct BundleFile {
  std::string name;
  std::string content;
};

// POSIX ustar (pax(1)), all files 0600 of nobody in particular. Pure.
[[nodiscard]] std::string tar_archive(const std::vector<BundleFile>& files, int64_t wall_us);

// Writes halton-meter-doctor-TIME.tar (0600) into `folder` from what doctor said and what is read
// here: versions, system, services, configuration, logs and the journal's last words. Never rows,
// bodies, keys or the environment's values. Its path, or why it could not be written.
[[nodiscard]] std::expected<std::filesystem::path, std::string> write_support_bundle(
    const Context& context, const std::filesystem::path& folder, std::vector<BundleFile> files);

}  // namespace hm::cli
