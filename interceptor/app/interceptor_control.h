// What the interceptor says on its control socket. Reads the app's parts, changes a few. Relay
// loop.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/setup/config_reload.h"
#include "interceptor/relay/acceptor.h"
#include "interceptor/relay/loop_monitor.h"
#include "interceptor/relay/silent_origins.h"
#include "interceptor/relay/trust_memory.h"
#include "interceptor/store/record_queue.h"
#include "interceptor/store/writer.h"

namespace hm {

struct InterceptorFacts {
  std::string version;
  int64_t started_us = 0;  // steady
  uint16_t internal_port = 0;
  uint16_t api_port = 0;
  const std::vector<std::string>& warnings;
  const Clock& clock;
  const store::Writer& writer;
  const store::RecordQueue& queue;
  const relay::Acceptor& acceptor;
  const relay::LoopMonitor& monitor;
  relay::TrustMemory& trust;
  relay::SilentOrigins& silent_origins;
  const tls::Authority& authority;
  const std::string& rates_card;  // id of the card in force
  const std::string& rates_warning;
  std::function<bool()> reading_rates;
  std::function<void()> drain;    // called after the answer has gone out
  std::function<bool()> relieve;  // a successor takes over, if we are leaving
  std::function<bool()> leaving;
  std::function<void()> read_rates;  // begins to read rates.toml again; elsewhere, for it blocks
  setup::ConfigReload& reload;
};

[[nodiscard]] std::string answer_control(const InterceptorFacts& facts, std::string_view line);

}  // namespace hm
