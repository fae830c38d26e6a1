// How the interceptor ends: who asks for it, how calls under way are finished first, and what is
// left behind. See common/setup/departure.h for who takes over.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/wire/control_message.h"
#include "interceptor/app/app_parts.h"

namespace hm {
namespace {

// A pair of one command has somebody waiting for its end, so the first looks are soon.
constexpr int64_t kFirstPulseMs = 2;
constexpr int64_t kDrainPulseMs = 50;
constexpr int64_t kFarewellMs = 500;
// How long the end of a process that nobody supervises may take: somebody waits for it.
constexpr int64_t kMostAloneMs = 30'000;
// With a successor there is no hurry: who pauses between calls keeps its connection this long.
constexpr int64_t kIdleUs = 3'000'000;
// With a lifeline nobody is in a hurry: the command has ended, its last calls may still stream.
constexpr int64_t kLifelineLimitMs = 10 * 60 * 1000;

std::string about_us(std::string_view verb) {
  return wire::control_request(verb, {std::to_string(::getpid())});
}

}  // namespace

void InterceptorApp::Parts::watch_signals() {
  const auto stop_soon = [this] {
    if (departure.leaving()) return finish();  // asked twice: now
    departure.leave();
  };
  on_term = std::make_unique<net::SignalWatch>(loop, SIGTERM, stop_soon);
  on_int = std::make_unique<net::SignalWatch>(loop, SIGINT, stop_soon);
  if (flags.lifeline < 0) return;
  lifeline = std::make_unique<net::FdWatch>(loop, [this] { drain(kLifelineLimitMs); });
  if (const auto watching = lifeline->start(flags.lifeline); !watching)
    log::warn("daemon.lifeline").with(watching.error());
}

void InterceptorApp::Parts::stand_down(bool relieved) {
  const int64_t limit_ms = loaded.config.intercept.drain_ms;
  if (relieved) {  // new calls, the ledger and the control socket are the successor's
    control->disown();
    acceptor->close_door();
    api->close_doors();
    ledger.reset();
    trust_file.reset();
  }
  drain(supervised ? limit_ms : std::min(limit_ms, kMostAloneMs));
}

void InterceptorApp::Parts::drain(int64_t limit_ms) {
  if (draining) return finish();
  draining = true;
  log::info("daemon.drain")
      .with("sessions", acceptor->sessions())
      .with("relieved", departure.relieved());
  drain_until_us = clock.steady_us() + limit_ms * 1000;
  drain_timer = std::make_unique<net::Timer>(loop, [this] { drain_pulse(); });
  drain_pulse_ms = kFirstPulseMs;
  drain_timer->start_once(drain_pulse_ms);
  farewell = std::make_unique<net::ControlRequest>(loop);
  if (departure.relieved()) return drain_pulse();
  acceptor->turn_away();
  // The edge is to send no new call, and not to take this for an illness.
  if (control->reachable())
    farewell->send(place.edge_socket, about_us("leaving"), kFarewellMs, 4096,
                   [](const Result<std::string>&) {});
  ledger->collect();
  drain_pulse();
}

void InterceptorApp::Parts::drain_pulse() {
  const bool told = !farewell->busy();
  // Nobody came, and the edge knows: a later start is to find the ports free.
  if (supervised && told && !departure.relieved()) {
    acceptor->close_door();
    api->close_doors();
  }
  acceptor->drain(departure.relieved() ? kIdleUs : 0);
  const bool done = acceptor->sessions() == 0 && told && (ledger == nullptr || !ledger->busy());
  if (done || clock.steady_us() >= drain_until_us) return finish();
  drain_pulse_ms = std::min(2 * drain_pulse_ms, kDrainPulseMs);
  drain_timer->start_once(drain_pulse_ms);
}

// Whatever connection ends from now on ends in order: its rows are written before we are gone.
void InterceptorApp::Parts::finish() {
  if (std::exchange(finishing, true)) return loop.stop();
  drain_timer.reset();
  if (farewell == nullptr) farewell = std::make_unique<net::ControlRequest>(loop);
  farewell->send(place.edge_socket, about_us("ending"), kFarewellMs, 4096,
                 [this](const Result<std::string>&) { loop.stop(); });
}

void InterceptorApp::Parts::stop() {
  const size_t open = acceptor != nullptr ? acceptor->sessions() : 0;
  if (control != nullptr) control->close();
  acceptor.reset();  // sessions that are still open write what they know
  loop.empty_graves();
  attributor.reset();
  if (writer != nullptr) writer->stop();
  if (flights_keeper != nullptr) flights_keeper->close(flights->needed());
  // Last: it waits for a thread that may be in a query, and no row is to wait for that.
  if (api != nullptr) api->stop();
  log::info("daemon.exit").with("open_sessions", open);
  log::stop();
}

}  // namespace hm
