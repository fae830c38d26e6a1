#include "common/net/process_watch.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/net/loop.h"

namespace hm::net {

void ProcessWatch::met(int64_t process) {
  const auto known = watched_.find(process);
  if (process <= 0 || (known != watched_.end() && !known->second.ended)) return;
  if (watched_.size() >= kMost)
    std::erase_if(watched_, [](const auto& one) { return one.second.ended; });
  const long descriptor = ::syscall(SYS_pidfd_open, static_cast<pid_t>(process), 0);
  if (descriptor < 0) return;  // gone already, or in another container: unknown
  Watched& fresh = watched_[process] = {};
  fresh.end = std::make_unique<FdWatch>(loop_, [this, process] {
    Watched& gone = watched_[process];
    gone.ended = true;
    log::info("net.process_ended").with("pid", process).with("in_order", gone.in_order);
    loop_.bury(std::move(gone.end));
    on_end_(process);
  });
  // Readable when the process has ended; reading itself is not possible, which counts as the end.
  if (!fresh.end->start(static_cast<int>(descriptor))) watched_.erase(process);
}

void ProcessWatch::ending(int64_t process) {
  if (const auto known = watched_.find(process); known != watched_.end())
    known->second.in_order = true;
}

ProcessWatch::Fate ProcessWatch::fate(int64_t process) const {
  const auto known = watched_.find(process);
  if (known == watched_.end()) return Fate::unknown;
  if (!known->second.ended) return Fate::alive;
  return known->second.in_order ? Fate::ended : Fate::lost;
}

}  // namespace hm::net
