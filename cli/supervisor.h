// `start --foreground`: keeps edge and interceptor running where no systemd does. Blocks until it
// is told to end.
//
//   SIGTERM, SIGINT   the interceptor ends (its open calls first), then the edge, then we;
//                     a second one: no call is waited for
//   SIGRTMIN          starts what was stopped          (halton-meter start)
//   SIGHUP            nothing: a terminal was closed, and programs elsewhere carry our address
//   SIGUSR1           restarts both, draining          (halton-meter restart)
//   SIGUSR2           stops the interceptor            (halton-meter stop)
#pragma once

#include <csignal>

#include "cli/context.h"

namespace hm::cli {

[[nodiscard]] inline int start_signal() {
  return SIGRTMIN;
}

class Supervisor {
 public:
  explicit Supervisor(Context& context) : context_(context) {}
  [[nodiscard]] int run();  // exit code

 private:
  Context& context_;
};

}  // namespace hm::cli
