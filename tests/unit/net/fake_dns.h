// A name service that does what a test says: answers, fails, or hangs until it is released.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "common/net/resolver.h"
#include "tests/unit/net/dial_support.h"

namespace hm::net::test {

class FakeDns {
 public:
  explicit FakeDns(Loop& loop) {
    resolver_of(loop).use([state = state_](const std::string& host, int family) {
      return state->look_up(host, family);
    });
  }
  // No thread of ours outlives the test.
  ~FakeDns() {
    std::unique_lock lock(state_->mutex);
    state_->hanging.clear();
    state_->changed.notify_all();
    state_->changed.wait(lock, [this] { return state_->active == 0; });
  }
  FakeDns(const FakeDns&) = delete;
  FakeDns& operator=(const FakeDns&) = delete;

  void answer(const std::string& host, int family, Result<Resolver::Addresses> result) {
    const std::lock_guard lock(state_->mutex);
    state_->answers.insert_or_assign({host, family}, std::move(result));
  }
  void fail_with(const std::string& host, Code code) {
    answer(host, AF_INET, fail(code, "fake_dns"));
    answer(host, AF_INET6, fail(code, "fake_dns"));
  }
  void hang(const std::string& host, int family) {
    const std::lock_guard lock(state_->mutex);
    state_->hanging[{host, family}] = true;
  }
  void hang(const std::string& host) {
    hang(host, AF_INET);
    hang(host, AF_INET6);
  }
  void release(const std::string& host, int family) {
    const std::lock_guard lock(state_->mutex);
    state_->hanging.erase({host, family});
    state_->changed.notify_all();
  }
  int look_ups() {
    const std::lock_guard lock(state_->mutex);
    return state_->look_ups;
  }

 private:
  using Key = std::pair<std::string, int>;
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::map<Key, Result<Resolver::Addresses>> answers;
    std::map<Key, bool> hanging;
    int look_ups = 0;
    int active = 0;

    Result<Resolver::Addresses> look_up(const std::string& host, int family) {
      std::unique_lock lock(mutex);
      ++look_ups;
      ++active;
      changed.wait(lock, [&] { return !hanging.contains({host, family}); });
      const auto found = answers.find({host, family});
      Result<Resolver::Addresses> result = fail(Code::not_found, "fake_dns");
      if (found != answers.end()) result = found->second;
      --active;
      changed.notify_all();
      return result;
    }
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace hm::net::test
