#include "interceptor/relay/trust_memory.h"

#include <algorithm>
#include <charconv>

#include "common/wire/control_message.h"

namespace hm::relay {
namespace {

int64_t number(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

bool TrustMemory::distrusts(const std::string& host, const std::string& shape) {
  const int64_t now = clock_.wall_us();
  // A clock that was ahead and was set back does not make an hour into days.
  for (Refusal& refusal : refusals_) refusal.until_us = std::min(refusal.until_us, now + keep_us_);
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
  tell_();
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
    tell_();
  }
}

bool TrustMemory::ever_trusted(const std::string& host, const std::string& shape) const {
  return trusting_.contains({host, shape});
}

void TrustMemory::forget_all() {
  refusals_.clear();
  tell_();
}

std::string TrustMemory::save() const {
  std::string text;
  for (const Refusal& refusal : refusals())
    text += wire::pack_fields({{"host", refusal.host},
                               {"shape", refusal.shape},
                               {"client", refusal.client},
                               {"reason", refusal.reason},
                               {"pid", std::to_string(refusal.client_pid)},
                               {"since_us", std::to_string(refusal.since_us)},
                               {"until_us", std::to_string(refusal.until_us)}}) +
            '\n';
  return text;
}

void TrustMemory::load(std::string_view text) {
  const int64_t now = clock_.wall_us();
  while (!text.empty() && refusals_.size() < kMaxRefusals) {
    const size_t end = std::min(text.find('\n'), text.size());
    Refusal refusal;
    for (auto& [key, value] : wire::unpack_fields(text.substr(0, end))) {
      if (key == "host") refusal.host = std::move(value);
      if (key == "shape") refusal.shape = std::move(value);
      if (key == "client") refusal.client = std::move(value);
      if (key == "reason") refusal.reason = std::move(value);
      if (key == "pid") refusal.client_pid = number(value);
      if (key == "since_us") refusal.since_us = number(value);
      if (key == "until_us") refusal.until_us = number(value);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
    // Never longer than from now, whatever a clock that was set back has left in the file.
    refusal.until_us = std::min(refusal.until_us, now + keep_us_);
    if (!refusal.host.empty() && !refusal.shape.empty() && refusal.until_us > now)
      refusals_.push_back(std::move(refusal));
  }
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
