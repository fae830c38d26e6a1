// Which interceptor processes has this edge met, and what became of them? Each says its process id
// with the 102; a pidfd tells when it has ended, and how: what said that it ends in order has
// written down the calls that it still had, what is gone without a word took them with it.
//
// The listening socket tells nothing of that: it is kept open over a crash. Loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "common/net/fd_watch.h"

namespace hm::edge {

class InterceptorWatch {
 public:
  enum class Fate : uint8_t { unknown, alive, ended, lost };

  InterceptorWatch(net::Loop& loop, std::function<void(int64_t process)> on_end)
      : loop_(loop), on_end_(std::move(on_end)) {}

  void met(int64_t process);     // it answered; 0: it did not say who it is
  void ending(int64_t process);  // it says that it ends in order
  [[nodiscard]] Fate fate(int64_t process) const;

 private:
  static constexpr size_t kMost = 16;  // then those that have ended are forgotten: unknown

  struct Watched {
    std::unique_ptr<net::FdWatch> end;
    bool ended = false;
    bool in_order = false;
  };

  net::Loop& loop_;
  std::function<void(int64_t)> on_end_;
  std::map<int64_t, Watched> watched_;
};

}  // namespace hm::edge
