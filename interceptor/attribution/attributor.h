// Looks clients up on libuv's pool, so that the loop never waits for /proc. At most 64 lookups at a
// time; what comes on top is answered with the default at once and counted ("attribution.skipped").
// Loop thread only; the loop must outlive it. When it dies, callbacks that are due are not called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "interceptor/attribution/tiers.h"
#include "interceptor/call_record.h"

namespace hm::net {
class Loop;
}

namespace hm::attribution {

class Attributor {
 public:
  static constexpr size_t kMaxLookups = 64;

  Attributor(net::Loop& loop, TagConfig config);
  ~Attributor();
  Attributor(const Attributor&) = delete;
  Attributor& operator=(const Attributor&) = delete;

  // Who owns the loopback connection client_port -> our_port? Ask while it is open. `done` is
  // called once, on the loop, with the default when nobody can be found ("attribution.failed");
  // when there are too many lookups, before look_up() returns.
  void look_up(uint16_t client_port, uint16_t our_port, std::function<void(Attribution)> done);

  // From the next lookup on.
  void set_default_project(std::string slug);

  [[nodiscard]] size_t under_way() const { return lookups_.size(); }

 private:
  struct Lookup;
  struct Shared;  // what jobs on the pool use; they may outlive us

  void finish(std::list<std::unique_ptr<Lookup>>::iterator lookup, Attribution result);

  net::Loop& loop_;
  std::shared_ptr<Shared> shared_;
  std::list<std::unique_ptr<Lookup>> lookups_;
};

}  // namespace hm::attribution
