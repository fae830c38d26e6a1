// Ids from the system's random source. Unique, also where the kernel's call is missing; not meant
// as secrets. Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace hm {

[[nodiscard]] std::string random_uuid();    // version 4, RFC 9562 5.4
[[nodiscard]] std::string random_hex_id();  // 32 hex digits
[[nodiscard]] uint64_t random_number();     // 64 bits

}  // namespace hm
