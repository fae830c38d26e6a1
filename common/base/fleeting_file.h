// A file that every start writes anew, such as effective-ports.json. An fsync is tens of
// milliseconds on an ordinary disk; a file that nobody wants after a power failure goes without.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string_view>

#include "common/base/result.h"

namespace hm {

// As replace_file() of fs.h: the old content or the new, never a part, while the machine runs.
[[nodiscard]] Result<void> replace_fleeting_file(const std::filesystem::path& path,
                                                 std::string_view content, mode_t mode = 0600);

}  // namespace hm
