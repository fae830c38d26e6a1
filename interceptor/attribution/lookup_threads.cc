#include "interceptor/attribution/lookup_threads.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <thread>

#include "common/base/counters.h"
#include "common/net/loop.h"

namespace hm::attribution {

void LookupThreads::start(uint64_t id, Job job) {
  const std::lock_guard lock(mutex_);
  jobs_.emplace_back(id, std::move(job));
  if (idle_ < jobs_.size() && threads_ < kMost) {
    try {
      std::thread([self = shared_from_this()] { self->run(); }).detach();
      ++threads_;
    } catch (const std::system_error&) {  // none to be had: those that are there, or its limit
      counters::get("attribution.no_thread").add();
    }
  }
  wake_.notify_one();
}

void LookupThreads::forget(uint64_t id) {
  const std::lock_guard lock(mutex_);
  std::erase_if(jobs_, [id](const auto& job) { return job.first == id; });
}

void LookupThreads::end() {
  done_ = nullptr;
  const std::lock_guard lock(mutex_);
  loop_ = nullptr;
  jobs_.clear();
  wake_.notify_all();
}

void LookupThreads::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [this] { return loop_ == nullptr || !jobs_.empty(); });
    --idle_;
    if (loop_ == nullptr) return;
    const auto [id, job] = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    auto result = std::make_shared<std::optional<Attribution>>();
    try {
      *result = job();
    } catch (...) {  // out of memory; nobody is found
      counters::get("attribution.threw").add();
    }
    lock.lock();
    if (loop_ == nullptr) return;
    loop_->post([self = shared_from_this(), number = id, result] {
      if (const Done done = self->done_; done) done(number, *result ? &**result : nullptr);
    });
  }
}

}  // namespace hm::attribution
