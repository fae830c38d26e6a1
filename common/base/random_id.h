// Ids from the system's random source. Unique, also where the kernel's call is missing; not meant
// as secrets. Any thread.
#pragma once

#include <cstdint>
#include <string>

namespace hm {

[[nodiscard]] std::string random_uuid();    // version 4, RFC 9562 5.4
[[nodiscard]] std::string random_hex_id();  // 32 hex digits

// Ids that sort by the millisecond they were made in, so that an index of them grows at its end;
// 74 random bits besides.
[[nodiscard]] std::string ordered_uuid();    // version 7, RFC 9562 5.7
[[nodiscard]] std::string ordered_hex_id();  // 32 hex digits
[[nodiscard]] uint64_t random_number();      // 64 bits

}  // namespace hm
