#include "interceptor/relay/silent_origins.h"

#include <algorithm>

namespace hm::relay {

bool SilentOrigins::avoid(const std::string& host, uint16_t port) {
  if (known_.empty()) return false;
  const auto found = known_.find({host, port});
  if (found == known_.end() || found->second.until_us <= clock_.steady_us()) return false;
  ++found->second.tunnelled;
  return true;
}

void SilentOrigins::was_silent(const std::string& host, uint16_t port) {
  const int64_t now = clock_.steady_us();
  Entry& entry = known_[{host, port}];
  // Connections that began to wait together have found out one thing, not several.
  if (entry.until_us > now) return;
  const int64_t keep_us = kFirstUs << std::min<int64_t>(entry.times, 5);
  entry.until_us = now + std::min(keep_us, kMostUs);
  ++entry.times;
  if (known_.size() <= kMax) return;
  known_.erase(std::ranges::min_element(known_, {},
                                        [](const auto& known) { return known.second.until_us; }));
}

void SilentOrigins::answered(const std::string& host, uint16_t port) {
  if (!known_.empty()) known_.erase({host, port});
}

std::vector<SilentOrigin> SilentOrigins::avoided() const {
  const int64_t now = clock_.steady_us();
  std::vector<SilentOrigin> list;
  for (const auto& [key, entry] : known_) {
    if (entry.until_us <= now) continue;
    list.push_back({key.first, key.second, entry.times, entry.tunnelled, entry.until_us - now});
  }
  return list;
}

}  // namespace hm::relay
