// Threads of their own for looking clients up: a client's working folder may be on a disk that
// hangs, and whoever looks at it hangs too. libuv's pool serves other things and must not. Made
// when there is work, kMost at most; one that hangs counts. Nobody waits for their end.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "interceptor/call_record.h"

namespace hm::net {
class Loop;
}

namespace hm::attribution {

// Shared by the attributor and its threads, which may outlive it.
class LookupThreads : public std::enable_shared_from_this<LookupThreads> {
 public:
  static constexpr size_t kMost = 4;
  using Job = std::function<Attribution()>;
  // On the loop. A job that threw has nobody: nullptr.
  using Done = std::function<void(uint64_t id, Attribution* result)>;

  LookupThreads(net::Loop& loop, Done done) : loop_(&loop), done_(std::move(done)) {}

  void start(uint64_t id, Job job);  // loop thread
  void forget(uint64_t id);          // if it has not begun, it never will; loop thread
  void end();                        // from here on nothing is called back; loop thread

 private:
  void run();

  std::mutex mutex_;  // guards what follows, but for done_
  std::condition_variable wake_;
  net::Loop* loop_;  // null: over
  std::deque<std::pair<uint64_t, Job>> jobs_;
  size_t threads_ = 0;
  size_t idle_ = 0;
  Done done_;  // the loop's thread only
};

}  // namespace hm::attribution
