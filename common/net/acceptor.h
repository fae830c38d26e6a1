// Private to common/net: accepts on a listening descriptor of any kind. libuv's own listen() is not
// used: out of descriptors, it accepts and drops the clients that wait; here they stay in the
// backlog for 100 ms and are served then (counter "net.accept_paused").
#pragma once

#include <cstdint>
#include <functional>

#include "common/base/result.h"

namespace hm::net {

class Loop;

class Acceptor {
 public:
  // The callback owns the accepted descriptor (non-blocking, close-on-exec) and may destroy the
  // Acceptor.
  Acceptor(Loop& loop, std::function<void(int)> on_descriptor);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Owns the descriptor from here on, also when it fails.
  [[nodiscard]] Result<void> start(int listening);
  void close();
  [[nodiscard]] int file_descriptor() const;

 private:
  struct State;
  State* state_;
};

}  // namespace hm::net
