// A supervised process is two: a parent, which the supervisor (systemd) knows as the service, and a
// worker, which does everything. So the supervisor can start a successor while the old worker still
// finishes its calls.
//
//   supervisor --starts--> parent --fork--> worker
//              --SIGTERM-> parent ---SIGTERM--> worker: leaving, "I have understood" --> parent
//              exits
//              --starts--> successor; the old worker stops accepting when that one says so,
//              finishes
//                          its calls and ends, as nobody's child in particular
//
// The parent waits, passes signals on and ends as its worker does; it has no thread, no loop and no
// listening socket. SIGABRT (the supervisor's watchdog) kills the worker, whatever it is doing. A
// worker whose parent dies takes that for a planned stop: it sees the end of a pipe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hm::setup {

// What a worker has kept besides sockets is named "watch-PID" (see Departure).
inline constexpr std::string_view kWatchPurpose = "watch-";

struct NamedDescriptor {
  std::string name;
  int descriptor = -1;
};

// What a process is born with.
struct Inheritance {
  std::vector<NamedDescriptor> kept;  // from the supervisor's descriptor store (LISTEN_FDS)
  int parent = -1;                    // reads its end when the parent is gone; -1: no parent
  int to_parent = -1;                 // one byte: understood, I am leaving
  [[nodiscard]] bool supervised() const { return parent >= 0; }
};

// Runs `work` in a worker when `supervised`, else in this process. Returns in the process that has
// done the work, with its exit code; a parent never returns. Before any thread exists.
int run_worker(bool supervised, const std::function<int(const Inheritance&)>& work);

// $LISTEN_FDS and its companions, sd_listen_fds(3), as descriptors 3, 4, ... Pure: nothing is
// looked at but the three texts (null when unset).
[[nodiscard]] std::vector<NamedDescriptor> parse_listen_fds(const char* pid, const char* count,
                                                            const char* names, int own_pid);

}  // namespace hm::setup
