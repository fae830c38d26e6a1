// What became of other processes of this user? A pidfd tells when one has ended. One that said
// beforehand that it ends in order has `ended`; one that is gone without a word is `lost`.
//
// Asked about the interceptors that an edge has met: the port tells nothing, it is kept open over a
// crash. Loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "common/net/fd_watch.h"

namespace hm::net {

class Loop;

class ProcessWatch {
 public:
  enum class Fate : uint8_t { unknown, alive, ended, lost };

  ProcessWatch(Loop& loop, std::function<void(int64_t process)> on_end)
      : loop_(loop), on_end_(std::move(on_end)) {}

  void met(int64_t process);     // from now on watched; 0: it did not say who it is
  void ending(int64_t process);  // it says that it ends in order
  [[nodiscard]] Fate fate(int64_t process) const;

 private:
  static constexpr size_t kMost = 16;  // then those that have ended are forgotten: unknown

  struct Watched {
    std::unique_ptr<FdWatch> end;
    bool ended = false;
    bool in_order = false;
  };

  Loop& loop_;
  std::function<void(int64_t)> on_end_;
  std::map<int64_t, Watched> watched_;
};

}  // namespace hm::net
