#include "interceptor/relay/trust_memory.h"

#include <algorithm>

namespace hm::relay {

bool TrustMemory::distrusts(const std::string& host, const std::string& shape) {
  const int64_t now = clock_.wall_us();
  std::erase_if(refusals_, [now](const Refusal& refusal) { return refusal.until_us <= now; });
  const auto found = std::ranges::find_if(refusals_, [&](const Refusal& refusal) {
    return refusal.host == host && refusal.shape == shape;
  });
  if (found == refusals_.end()) return false;
  ++found->tunnelled;
  return true;
}

void TrustMemory::remember(Refusal refusal) {
  refusal.since_us = clock_.wall_us();
  refusal.until_us = refusal.since_us + keep_us_;
  trusting_.erase({refusal.host, refusal.shape});
  std::erase_if(refusals_, [&](const Refusal& old) {
    return old.host == refusal.host && old.shape == refusal.shape;
  });
  refusals_.push_front(std::move(refusal));
  if (refusals_.size() > kMaxRefusals) refusals_.pop_back();
}

void TrustMemory::trusted(const std::string& host, const std::string& shape) {
  trusting_[{host, shape}] = Trust{++tick_, 0};
  if (trusting_.size() <= kMaxTrusting) return;
  trusting_.erase(std::ranges::min_element(
      trusting_, [](const auto& a, const auto& b) { return a.second.tick < b.second.tick; }));
}

bool TrustMemory::silent_end_is_refusal(const std::string& host, const std::string& shape) {
  const auto found = trusting_.find({host, shape});
  return found == trusting_.end() || ++found->second.silent_ends >= kSilentEnds;
}

void TrustMemory::name_client(const std::string& host, const std::string& shape,
                              const std::string& client, int64_t pid) {
  for (Refusal& refusal : refusals_) {
    if (refusal.host != host || refusal.shape != shape || !refusal.client.empty()) continue;
    refusal.client = client;
    refusal.client_pid = pid;
  }
}

bool TrustMemory::ever_trusted(const std::string& host, const std::string& shape) const {
  return trusting_.contains({host, shape});
}

void TrustMemory::forget_all() {
  refusals_.clear();
}

std::vector<Refusal> TrustMemory::refusals() const {
  const int64_t now = clock_.wall_us();
  std::vector<Refusal> current;
  for (const Refusal& refusal : refusals_) {
    if (refusal.until_us > now) current.push_back(refusal);
  }
  return current;
}

}  // namespace hm::relay
