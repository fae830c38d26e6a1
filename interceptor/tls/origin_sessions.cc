#include "interceptor/tls/origin_sessions.h"

#include <algorithm>
#include <utility>

namespace hm::tls {

std::optional<OriginSessions::Session> OriginSessions::take(const std::string& key) {
  const auto found = kept_.find(key);
  if (found == kept_.end()) return std::nullopt;
  Kept& kept = found->second;
  const int64_t now = now_us();
  std::erase_if(kept.sessions,
                [now](const Session& one) { return now - one.verified_at_us >= kLifeUs; });
  if (kept.sessions.empty() || now < kept.not_before_us) return std::nullopt;
  kept.used_at_us = now;
  Session& youngest = kept.sessions.back();
  if (SSL_SESSION_should_be_single_use(youngest.session.get()) == 0)
    return Session{bssl::UpRef(youngest.session), youngest.verified_at_us};
  Session taken = std::move(youngest);
  kept.sessions.pop_back();
  return taken;
}

void OriginSessions::keep(const std::string& key, Session session) {
  const int64_t now = now_us();
  if (now - session.verified_at_us >= kLifeUs) return;
  if (!kept_.contains(key)) make_room();
  Kept& kept = kept_[key];
  if (now < kept.not_before_us) return;
  kept.used_at_us = now;
  if (kept.sessions.size() >= kMostOfKey) kept.sessions.erase(kept.sessions.begin());
  kept.sessions.push_back(std::move(session));
}

void OriginSessions::give_up(const std::string& key) {
  if (!kept_.contains(key)) make_room();
  Kept& kept = kept_[key];
  kept.sessions.clear();
  kept.used_at_us = now_us();
  kept.not_before_us = kept.used_at_us + kLifeUs;
}

void OriginSessions::make_room() {
  if (kept_.size() < kMostKeys) return;
  kept_.erase(std::ranges::min_element(kept_, {},
                                       [](const auto& entry) { return entry.second.used_at_us; }));
}

}  // namespace hm::tls
