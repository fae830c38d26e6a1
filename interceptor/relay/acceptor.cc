#include "interceptor/relay/acceptor.h"

#include <unistd.h>

#include <utility>
#include <vector>

#include "common/base/counters.h"
#include "common/base/log.h"

namespace hm::relay {
namespace {

constexpr size_t kTurnedAway = 64;
// Who stood still for that long (stopped, swapped out, a machine that was paused) has heard nothing
// meanwhile: what has been idle since then is counted from when he woke up.
constexpr int64_t kStandstillUs = 1'000'000;

}  // namespace

Acceptor::Acceptor(RelayContext& context)
    : context_(context),
      listener_(context.loop, [this](net::TcpSocket socket) { on_accept(std::move(socket)); }) {}

Acceptor::~Acceptor() = default;

Result<uint16_t> Acceptor::listen(int kept, uint16_t port, int attempts) {
  return listener_.adopt_or_listen_near(kept, "127.0.0.1", port, attempts);
}

void Acceptor::drain(int64_t idle_us) {
  const int64_t now_us = context_.clock.steady_us();
  if (now_us - drained_at_us_ > kStandstillUs) attentive_since_us_ = now_us;
  drained_at_us_ = now_us;
  std::vector<uint64_t> ids;
  ids.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) ids.push_back(id);
  for (const uint64_t id : ids) {
    if (const auto found = sessions_.find(id); found != sessions_.end())
      found->second->drain(idle_us, attentive_since_us_);
  }
}

void Acceptor::on_accept(net::TcpSocket socket) {
  static Counter& accepted = counters::get("relay.accepted");
  static Counter& strangers = counters::get("relay.refused_other_user");
  static Counter& full = counters::get("relay.refused_full");
  accepted.add();
  // Loopback is shared by everybody on the machine; this meter is not.
  if (const auto uid = net::peer_uid(socket); uid && *uid != ::getuid()) {
    strangers.add();
    return;
  }
  // A few above the limit are read far enough to be told 503; a flood is not.
  const bool is_full = sessions_.size() >= context_.limits.max_sessions;
  if (is_full) full.add();
  if (sessions_.size() >= context_.limits.max_sessions + kTurnedAway) return;
  const uint64_t id = next_id_++;
  auto session = std::make_unique<Session>(context_, static_cast<Session::Owner&>(*this), id);
  Session& started = *session;
  if (is_full) started.turn_away();
  sessions_.emplace(id, std::move(session));
  started.start(std::move(socket));
}

void Acceptor::on_session_over(uint64_t id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  context_.loop.bury(std::move(found->second));
  sessions_.erase(found);
}

void Acceptor::look_up_client(uint64_t id, uint16_t client_port, uint16_t our_port) {
  context_.attributor.look_up(client_port, our_port, [this, id](const Attribution& attribution) {
    if (const auto found = sessions_.find(id); found != sessions_.end())
      found->second->on_attributed(attribution);
  });
}

}  // namespace hm::relay
