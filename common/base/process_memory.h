// Resident memory of this process, in bytes; 0 when /proc does not say. A short read of a kernel
// file.
#pragma once

#include <cstdint>

namespace hm {

[[nodiscard]] int64_t resident_bytes();

}  // namespace hm
