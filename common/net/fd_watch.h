// Waits until the other end of a pipe is closed: a lifeline. Reads and forgets what is written to
// it. Owns the descriptor from start() on.
#pragma once

#include <functional>

#include "common/base/result.h"

namespace hm::net {

class Loop;

class FdWatch {
 public:
  // `at_end` is called once, on the loop.
  FdWatch(Loop& loop, std::function<void()> at_end);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  [[nodiscard]] Result<void> start(int descriptor);

 private:
  struct State;
  Loop* loop_;
  State* state_;
};

}  // namespace hm::net
