#include "edge/knocker.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "common/config/ports.h"
#include "common/wire/ask.h"

namespace hm::edge {
namespace {

constexpr int64_t kKnockLimitMs = 500;
constexpr int64_t kEagerMs = 20;
constexpr int64_t kEagerForUs = 2'000'000;

}  // namespace

Knocker::Knocker(net::Loop& loop, const net::DialOptions& options, const config::Edge& limits,
                 std::filesystem::path ports_file, HealthGate& gate, const Clock& clock,
                 std::function<void()> on_gate_closed)
    : limits_(limits),
      ports_file_(std::move(ports_file)),
      gate_(gate),
      clock_(clock),
      on_gate_closed_(std::move(on_gate_closed)),
      ask_(loop, options),
      timer_(loop, [this] { knock(); }),
      reread_(loop) {}

void Knocker::start(uint16_t port) {
  port_ = port;
  started_us_ = clock_.steady_us();
  gate_since_us_ = clock_.wall_us();
  knock();
}

void Knocker::stop() {
  timer_.stop();
  ask_.cancel();
  reread_.cancel();
}

void Knocker::gate_changed() {
  gate_since_us_ = clock_.wall_us();
  log::info(gate_.open() ? "edge.gate.opened" : "edge.gate.closed").with("port", port_);
  schedule();
  if (!gate_.open()) on_gate_closed_();
}

void Knocker::schedule() {
  int64_t wait = gate_.open() ? limits_.knock_open_ms : limits_.knock_closed_ms;
  const bool eager = !gate_.ever_open() && clock_.steady_us() - started_us_ < kEagerForUs;
  if (eager) wait = std::min(wait, kEagerMs);
  timer_.start_once(wait);
}

void Knocker::knock() {
  if (gate_.open()) return send_knock();
  const bool started = reread_.start<Result<config::EffectivePorts>>(
      [path = ports_file_] { return config::read_ports(path); },
      [this](const Result<config::EffectivePorts>& ports) {
        if (ports && ports->internal_port) port_ = *ports->internal_port;
        send_knock();
      });
  if (!started) schedule();
}

void Knocker::send_knock() {
  ask_.start(port_, wire::ask_head(wire::kKnockHost, 443, "knock", 0, 0), kKnockLimitMs,
             kKnockLimitMs, [this](const AskResult& result) { on_answer(result); });
}

void Knocker::on_answer(const AskResult& result) {
  Knock knock = Knock::refused;
  if (result.kind == AskResult::Kind::answered && result.status == 200) knock = Knock::good;
  if (result.kind == AskResult::Kind::silent) knock = Knock::silent;
  if (gate_.on_knock(knock)) return gate_changed();
  schedule();
}

}  // namespace hm::edge
