// sd_notify(3) in a few lines: the edge links no libsystemd. Does nothing without $NOTIFY_SOCKET.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hm::notify {

// "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=...". Waits up to `patience_ms` while the
// manager's queue is full (it is ten messages short by default); 0 never blocks. False: it did not
// go out.
bool send(std::string_view state, int64_t patience_ms = 0);

// The manager's descriptor store: it keeps a duplicate of `descriptor` over crashes and restarts
// and hands it to the next start under this name (letters, digits, '-'; no ':').
bool store(std::string_view name, int descriptor, int64_t patience_ms = 2000);
bool forget(std::string_view name, int64_t patience_ms = 2000);  // all of this name

// From here on nothing is sent: what a process says that only finishes its work would be taken for
// words of its successor. Any thread.
void mute(bool on = true);
[[nodiscard]] bool available();  // a manager listens, and we are not mute

// $WATCHDOG_USEC for this process, 0 when the manager does not watch us.
[[nodiscard]] int64_t watchdog_us();

}  // namespace hm::notify
