// A job on libuv's thread pool: DNS, disk, /proc walks. `job` runs on a pool thread and may touch
// only what it owns; `done` runs on the loop with the job's result, unless the Work was destroyed
// or cancel()led first: then the result is thrown away when the job ends. One job at a time per
// Work.
#pragma once

#include <functional>
#include <memory>
#include <utility>

namespace hm::net {

class Loop;

class Work {
 public:
  explicit Work(Loop& loop) : loop_(loop) {}
  ~Work() { cancel(); }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;

  // False when a job is already under way or the pool refused it; nothing will be called then.
  template <class T>
  bool start(std::function<T()> job, std::function<void(T)> done) {
    auto result = std::make_shared<T>();
    return start_erased([result, job = std::move(job)] { *result = job(); },
                        [result, done = std::move(done)] { done(std::move(*result)); });
  }

  void cancel();
  [[nodiscard]] bool busy() const { return state_ != nullptr; }

 private:
  bool start_erased(std::function<void()> job, std::function<void()> done);

  struct State;
  Loop& loop_;
  State* state_ = nullptr;
};

}  // namespace hm::net
