// How a supervised worker makes room for its successor without a gap.
//
//   serving --leave()--> leaving: serves on --relieve()------------------> standing down
//                               |  the successor is ready and says so           ^
//                               '--nobody comes: the store is given up----------'
//
// leave() comes from SIGTERM, the death of the parent or a `drain` request; it lets the parent go,
// so that the supervisor can start the successor. `stand_down(relieved)` is called once: stop
// accepting, finish the calls, end. Without a parent leave() stands down at once.
//
// Whether somebody will come is asked of the supervisor's descriptor store: it holds one end of a
// pipe, and closes it with the rest of the store on an explicit stop. As long as it holds it, a
// successor is wanted, and one that does not get as far as serving (a bad binary, a home that
// hangs) must not leave the listening socket without anybody who accepts. Where nothing is kept,
// nobody can be asked, and the wait is short.
//
// Loop thread only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <utility>

#include "common/net/fd_watch.h"
#include "common/net/timer.h"
#include "common/setup/worker.h"

namespace hm::setup {

class Departure {
 public:
  struct Waits {
    int64_t look_again_ms = 30'000;  // while the store is kept
    int64_t without_store_ms = 5'000;
  };
  Departure(net::Loop& loop, const Inheritance& given,
            std::function<void(bool relieved)> stand_down)
      : Departure(loop, given, std::move(stand_down), Waits{}) {}
  Departure(net::Loop& loop, const Inheritance& given,
            std::function<void(bool relieved)> stand_down, const Waits& waits);

  // Watches the parent and the store. When everything else is ready, before READY=1.
  void start();
  void leave();
  // The successor's word, over the control socket. False: we are not leaving.
  [[nodiscard]] bool relieve();

  [[nodiscard]] bool leaving() const { return leaving_; }
  [[nodiscard]] bool relieved() const { return relieved_; }

  // The other side of relieve(): asks whoever answers at `control_socket` to stand down, and waits
  // for that, 500 ms at most. Blocks; before the loop runs. True: there was one, and it has.
  [[nodiscard]] static bool take_over(const std::filesystem::path& control_socket);

 private:
  void watch_store();
  void on_parent_gone();
  void on_store_gone();
  void on_nobody_came();
  void stand_down(bool relieved);

  const Inheritance given_;
  std::function<void(bool)> stand_down_;
  net::FdWatch parent_;
  net::FdWatch store_;
  net::Timer limit_;
  const Waits waits_;
  bool kept_ = false;  // the store holds our pipe
  bool parent_gone_ = false;
  bool leaving_ = false;
  bool relieved_ = false;
  bool stood_down_ = false;
};

}  // namespace hm::setup
