// A git working tree seen from a folder inside it, without running git. Pure over FileView.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "interceptor/attribution/file_view.h"

namespace hm::attribution {

// The branch that HEAD names; empty when it is detached or cannot be read. `folder` holds .git: a
// folder, or a file with a "gitdir:" line (worktrees, submodules).
[[nodiscard]] std::string git_branch(const std::filesystem::path& folder, const FileView& files);

// The folder itself and those above it, nearest first: at most 64, not past a file system's border
// (as git itself does), and never above `home` (its parents belong to others).
[[nodiscard]] std::vector<std::filesystem::path> folders_upward(const std::filesystem::path& start,
                                                                const std::filesystem::path& home,
                                                                const FileView& files);

// The nearest of these folders that holds .git. Not `home` itself: many keep their settings in a
// repository there, and everything below would be one project.
[[nodiscard]] std::optional<std::filesystem::path> git_folder(
    const std::vector<std::filesystem::path>& upward, const std::filesystem::path& home,
    const FileView& files);

}  // namespace hm::attribution
