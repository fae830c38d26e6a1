// Folders in the machine's memory (tmpfs) for files that an event loop writes to through a mapping:
// a write there never waits for a disk. A mapped page of a file on a disk may: a frozen or hanging
// file system, or one that writes the page back just now, stops whoever stores into it.
#pragma once

#include <filesystem>
#include <vector>

#include "common/base/result.h"

namespace hm {

// Those of this user and this home, made when missing, the best one first; empty when there is
// none. The same list for every process of the home, whatever its environment.
[[nodiscard]] std::vector<std::filesystem::path> memory_folders(const std::filesystem::path& home);

// Nothing of ours runs any more: they go, when they are empty or with what is in them.
void remove_memory_folders(const std::filesystem::path& home, bool with_files);

// `parent`/`name`/`inner`, mode 0700. Refused unless all of it is in memory, no symbolic link, and
// nobody but us can enter, rename or replace it.
[[nodiscard]] Result<std::filesystem::path> private_memory_folder(
    const std::filesystem::path& parent, const std::string& name, const std::string& inner);

}  // namespace hm
