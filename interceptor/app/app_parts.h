// What the interceptor is made of: the body of InterceptorApp, shared by the file that starts it
// (app.cc) and the one that ends it (app_departure.cc). Nobody else includes this.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/key_print.h"
#include "common/config/config.h"
#include "common/net/control_socket.h"
#include "common/net/fd_watch.h"
#include "common/net/loop.h"
#include "common/net/work.h"
#include "common/setup/config_reload.h"
#include "common/setup/departure.h"
#include "common/setup/kept_sockets.h"
#include "common/setup/ledger_keeper.h"
#include "common/wire/host_match.h"
#include "interceptor/api/api_thread.h"
#include "interceptor/app/app.h"
#include "interceptor/app/interceptor_control.h"
#include "interceptor/attribution/attributor.h"
#include "interceptor/meter/provider_registry.h"
#include "interceptor/relay/acceptor.h"
#include "interceptor/relay/flight_log.h"
#include "interceptor/relay/ledger_collector.h"
#include "interceptor/relay/loop_monitor.h"
#include "interceptor/relay/self_test_origin.h"
#include "interceptor/relay/trust_file.h"
#include "interceptor/store/record_queue.h"
#include "interceptor/store/writer.h"
#include "interceptor/tls/ca_store.h"

namespace hm {

struct RelayHeartbeat final : api::HealthSource {
  const relay::LoopMonitor* monitor = nullptr;
  [[nodiscard]] int64_t last_relay_heartbeat_us() const override {
    return monitor->last_heartbeat_us();
  }
};

struct InterceptorApp::Parts {
  Parts(const setup::ProcessFlags& given_flags, std::string given_version,
        const setup::Inheritance& inherited)
      : flags(given_flags),
        supervised(inherited.supervised()),
        version(std::move(given_version)),
        home(setup::home_of(given_flags)),
        place(setup::place_of(given_flags, home)),
        loaded(setup::config_of(home)),
        warnings(loaded.warnings),
        dial_options(setup::dial_options(loaded.config, loaded.config.edge.connect_timeout_ms)),
        kept(inherited.kept),
        departure(loop, inherited, [this](bool relieved) { stand_down(relieved); }),
        reload(loop, home.config(), loaded,
               [this](const std::vector<std::string>& changed,
                      const setup::ConfigReload::Done& done) { take_up_config(changed, done); }) {}

  [[nodiscard]] bool prepare();
  [[nodiscard]] bool prepare_tls();
  void add_providers();
  void check_coverage();
  [[nodiscard]] relay::RelayLimits limits() const;
  [[nodiscard]] uint64_t decoded_bytes() const;
  void take_up_config(const std::vector<std::string>& changed,
                      const setup::ConfigReload::Done& done);
  void warn_of_config(std::string text);
  [[nodiscard]] relay::StoreProgress progress();
  [[nodiscard]] bool listen();
  void start_api();
  void open_control();
  void announce();
  void watch_signals();
  void stand_down(bool relieved);
  void read_rates();
  void drain(int64_t limit_ms);
  void drain_pulse();
  void finish();
  void stop();

  const setup::ProcessFlags flags;
  const bool supervised;
  const std::string version;
  const Home home;
  const RunPlace place;
  config::Loaded loaded;              // changed by `reload` alone, in place
  std::vector<std::string> warnings;  // those of the file and what came of them; for `status`
  std::vector<std::string> provider_warnings;  // of [[provider]]; among the others
  const Clock& clock = system_clock();
  const int64_t started_us = system_clock().steady_us();
  net::DialOptions dial_options;
  size_t most_sessions = static_cast<size_t>(loaded.config.intercept.max_sessions);
  std::string rates_card;
  std::string rates_warning;  // why rates.toml is not in force, and what is
  uint16_t internal_port = 0;
  uint16_t api_port = 0;
  uint16_t edge_port = 0;  // as its asks say, else as it has written it, else as configured
  int64_t drain_until_us = 0;
  int64_t drain_pulse_ms = 0;
  bool draining = false;
  bool finishing = false;
  bool succeeds = false;  // a former process was relieved by us

  // Made in this order, destroyed in reverse: what refers to something comes after it.
  store::RecordQueue queue;
  std::unique_ptr<store::Writer> writer;
  wire::HostTable hosts;
  meter::ProviderRegistry providers;
  std::unique_ptr<tls::Authority> authority;
  std::unique_ptr<tls::ClientSideContext> client_side;
  std::unique_ptr<tls::OriginSideContext> origin_side;
  std::unique_ptr<tls::LeafCache> leaves;
  std::unique_ptr<relay::TrustMemory> trust;
  std::unique_ptr<relay::SilentOrigins> silent_origins;
  std::unique_ptr<relay::FlightLog> flights;
  std::unique_ptr<tls::OriginSideContext> self_test_trust;
  net::Loop loop;
  std::unique_ptr<relay::SelfTestOrigin> self_test;
  setup::KeptSockets kept;
  setup::Departure departure;
  setup::ConfigReload reload;
  std::unique_ptr<attribution::Attributor> attributor;
  std::optional<KeyPrinter> key_printer;
  std::unique_ptr<relay::TrustFile> trust_file;
  std::unique_ptr<relay::RelayContext> context;
  std::unique_ptr<relay::Acceptor> acceptor;
  std::unique_ptr<relay::LoopMonitor> monitor;
  std::unique_ptr<relay::LedgerCollector> ledger;
  std::unique_ptr<InterceptorFacts> facts;
  std::unique_ptr<net::ControlServer> control;
  std::unique_ptr<net::ControlRequest> arrival;
  std::unique_ptr<net::ControlRequest> farewell;
  RelayHeartbeat heartbeat;
  std::unique_ptr<api::ApiThread> api;
  std::unique_ptr<net::Work> rates_work;
  std::unique_ptr<net::Work> roots_work;
  std::unique_ptr<setup::LedgerKeeper> flights_keeper;
  std::unique_ptr<net::Timer> flights_timer;
  std::unique_ptr<net::SignalWatch> on_term;
  std::unique_ptr<net::SignalWatch> on_int;
  std::unique_ptr<net::FdWatch> lifeline;
  std::unique_ptr<net::Timer> drain_timer;
};

}  // namespace hm
