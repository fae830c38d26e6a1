// Looks clients up in threads of its own, so that neither the loop nor libuv's pool waits for /proc
// or for the disk that a client works on. Bounded: at most 64 lookups at a time, what comes on top
// is answered with the default at once ("attribution.skipped"); one that takes longer than 2 s is
// answered with the default then ("attribution.late"). No call waits for it, only its row.
// Loop thread only; the loop must outlive it. When it dies, callbacks that are due are not called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "interceptor/attribution/lookup_threads.h"
#include "interceptor/attribution/tiers.h"
#include "interceptor/call_record.h"

namespace hm::net {
class Loop;
class Timer;
}  // namespace hm::net

namespace hm::attribution {

class Attributor {
 public:
  static constexpr size_t kMaxLookups = 64;
  static constexpr int64_t kLimitMs = 2000;
  // Blocks. In place of the system's, for tests.
  using Find = std::function<Attribution(uint16_t client_port, uint16_t our_port)>;

  Attributor(net::Loop& loop, TagConfig config, Find find = {});
  ~Attributor();
  Attributor(const Attributor&) = delete;
  Attributor& operator=(const Attributor&) = delete;

  // Who owns the loopback connection client_port -> our_port? Ask while it is open. `done` is
  // called once, on the loop, with the default when nobody can be found ("attribution.failed") in
  // time; when there are too many lookups, before look_up() returns.
  void look_up(uint16_t client_port, uint16_t our_port, std::function<void(Attribution)> done);

  // From the next lookup on.
  void set_default_project(std::string slug);

  [[nodiscard]] size_t under_way() const { return lookups_.size(); }

 private:
  struct Shared;  // what the threads use; they may outlive us
  struct Lookup {
    int64_t until_us = 0;  // steady
    std::function<void(Attribution)> done;
  };

  void on_found(uint64_t id, Attribution* result);
  void on_time();
  void finish(std::map<uint64_t, Lookup>::iterator lookup, Attribution result);

  net::Loop& loop_;
  const Find find_;
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<LookupThreads> threads_;
  std::unique_ptr<net::Timer> timer_;
  std::map<uint64_t, Lookup> lookups_;  // the oldest first
  uint64_t next_id_ = 1;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace hm::attribution
