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
                 net::ProcessWatch& watch, std::function<void()> on_gate_closed)
    : limits_(limits),
      ports_file_(std::move(ports_file)),
      gate_(gate),
      watch_(watch),
      clock_(clock),
      on_gate_closed_(std::move(on_gate_closed)),
      ask_(loop, options),
      timer_(loop, [this] { knock(); }),
      reread_(loop) {}

void Knocker::start(uint16_t port, uint16_t api_port, uint16_t edge_port) {
  port_ = port;
  api_port_ = api_port;
  edge_port_ = edge_port;
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
  read_ports();
  schedule();
  if (!gate_.open()) on_gate_closed_();
}

void Knocker::on_arrival(int64_t port) {
  if (port <= 0 || port > 65535) return;
  move_to(static_cast<uint16_t>(port));
  ask_.cancel();  // whatever it asks, it asks somebody else
  hurry();
}

void Knocker::move_to(uint16_t port) {
  if (port != port_)
    log::info("edge.sidecar_regen_requested")
        .with("internal_port", port)
        .with("text", "the interceptor has moved; calls go there from here on");
  port_ = port;
}

void Knocker::on_process_end(int64_t process) {
  if (process != process_) return;
  process_ = 0;
  if (watch_.fate(process) == net::ProcessWatch::Fate::lost && gate_.on_ask_failed())
    return gate_changed();
  hurry();
}

void Knocker::on_leaving(int64_t process) {
  if (process != 0 && process_ != 0 && process != process_) return;  // its successor answers
  leaving_ = true;
  ask_.cancel();  // its answer would be from before
  gate_.on_ask_failed() ? gate_changed() : schedule();
}

void Knocker::schedule() {
  const int64_t wait = gate_.open() ? limits_.knock_open_ms : limits_.knock_closed_ms;
  const bool eager = !gate_.ever_open() && clock_.steady_us() - started_us_ < kEagerForUs;
  timer_.start_once(eager ? std::min(wait, kEagerMs) : wait);
}

void Knocker::knock() {
  if (!gate_.open()) read_ports();
  if (port_ == 0) return schedule();
  ask_.start(port_, wire::ask_head(wire::kKnockHost, 443, "knock", 0, edge_port_), kKnockLimitMs,
             kKnockLimitMs, [this](const AskResult& result) { on_answer(result); });
}

void Knocker::read_ports() {
  reread_.start<Result<config::EffectivePorts>>(
      [path = ports_file_] { return config::read_ports(path); },
      [this](const Result<config::EffectivePorts>& ports) {
        if (!ports) return;
        move_to(ports->internal_port.value_or(port_));
        api_port_ = ports->api_port.value_or(api_port_);
      });
}

void Knocker::on_answer(const AskResult& result) {
  Knock knock = Knock::refused;
  if (result.kind == AskResult::Kind::answered && result.status == 200) knock = Knock::good;
  if (result.kind == AskResult::Kind::answered && result.status == 503) knock = Knock::full;
  if (result.kind == AskResult::Kind::silent) knock = Knock::silent;
  if (knock == Knock::good || knock == Knock::full) {
    leaving_ = knock == Knock::full;
    process_ = result.process;
    watch_.met(process_);
  }
  if (gate_.on_knock(knock)) return gate_changed();
  schedule();
}

}  // namespace hm::edge
