// sd_notify(3) in a few lines: the edge links no libsystemd. Does nothing without $NOTIFY_SOCKET.
#pragma once

#include <cstdint>
#include <string_view>

namespace hm::notify {

void send(std::string_view state);  // "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=..."

// $WATCHDOG_USEC for this process, 0 when the manager does not watch us.
[[nodiscard]] int64_t watchdog_us();

}  // namespace hm::notify
