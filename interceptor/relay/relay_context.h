// What every session of the relay needs, owned by the app and alive as long as the relay loop runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "common/base/clock.h"
#include "common/base/key_print.h"
#include "common/net/dialer.h"
#include "interceptor/attribution/attributor.h"
#include "interceptor/call_record.h"
#include "interceptor/meter/provider_registry.h"
#include "interceptor/relay/flight_log.h"
#include "interceptor/relay/self_test_origin.h"
#include "interceptor/relay/silent_origins.h"
#include "interceptor/relay/trust_memory.h"
#include "interceptor/tls/ca_store.h"
#include "interceptor/tls/contexts.h"
#include "interceptor/tls/leaf_cache.h"

namespace hm::relay {

struct RelayLimits {
  size_t max_sessions = 1024;
  int64_t ask_timeout_ms = 5'000;         // for the CONNECT head
  int64_t hello_timeout_ms = 5'000;       // for the whole ClientHello, once the client may speak
  int64_t handshake_timeout_ms = 10'000;  // each of the two handshakes
  size_t saved_hello_bytes = 64 * 1024;
};

struct RelayContext {
  net::Loop& loop;
  const Clock& clock;
  const net::DialOptions& dial_options;
  const meter::ProviderRegistry& providers;
  const tls::ClientSideContext& client_side;
  const tls::OriginSideContext& origin_side;
  const tls::Authority& authority;
  tls::LeafCache& leaves;
  TrustMemory& trust;
  SilentOrigins& silent_origins;
  attribution::Attributor& attributor;
  RecordSink& sink;
  RelayLimits limits;
  const KeyPrinter* key_printer = nullptr;       // null: keys leave no print
  FlightLog* flights = nullptr;                  // null: none is kept
  std::filesystem::path edge_socket{};           // empty: nothing is known of the edge
  SelfTestOrigin* self_test = nullptr;           // null: calls for its name go nowhere
  std::function<void(uint16_t)> on_edge_port{};  // an ask came from an edge at this port
};

}  // namespace hm::relay
