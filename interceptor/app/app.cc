#include "interceptor/app/app.h"

#include <csignal>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/counters.h"
#include "common/base/key_print.h"
#include "common/base/log.h"
#include "common/base/notify.h"
#include "common/base/port_holder.h"
#include "common/config/config.h"
#include "common/config/ports.h"
#include "common/net/control_socket.h"
#include "common/net/fd_watch.h"
#include "common/net/loop.h"
#include "common/wire/connect_head.h"
#include "common/wire/control_message.h"
#include "common/wire/host_match.h"
#include "interceptor/api/api_thread.h"
#include "interceptor/app/interceptor_control.h"
#include "interceptor/attribution/attributor.h"
#include "interceptor/meter/provider_registry.h"
#include "interceptor/pricing/user_rates.h"
#include "interceptor/relay/acceptor.h"
#include "interceptor/relay/ledger_collector.h"
#include "interceptor/relay/loop_monitor.h"
#include "interceptor/store/record_queue.h"
#include "interceptor/store/writer.h"
#include "interceptor/tls/ca_store.h"

namespace hm {
namespace {

constexpr int kNextPorts = 20;
constexpr int64_t kDrainPulseMs = 50;
constexpr int64_t kFarewellMs = 500;
// With a lifeline nobody is in a hurry: the command has ended, its last calls may still stream.
constexpr int64_t kLifelineLimitMs = 10 * 60 * 1000;

struct Heartbeat final : api::HealthSource {
  const relay::LoopMonitor* monitor = nullptr;
  [[nodiscard]] int64_t last_relay_heartbeat_us() const override {
    return monitor->last_heartbeat_us();
  }
};

}  // namespace

struct InterceptorApp::Parts {
  Parts(const setup::ProcessFlags& given, std::string given_version)
      : flags(given),
        version(std::move(given_version)),
        home(setup::home_of(given)),
        place(setup::place_of(given, home)),
        loaded(config::load(home.config())),
        warnings(loaded.warnings),
        dial_options(setup::dial_options(loaded.config, loaded.config.edge.connect_timeout_ms)) {}

  [[nodiscard]] bool prepare();
  [[nodiscard]] bool prepare_tls();
  void add_providers();
  void warn_of_config(std::string text);
  [[nodiscard]] bool listen();
  void open_control();
  void drain(int64_t limit_ms);
  void drain_pulse();
  void stop();

  const setup::ProcessFlags flags;
  const std::string version;
  const Home home;
  const RunPlace place;
  const config::Loaded loaded;
  std::vector<std::string> warnings;  // those of the file and what came of them; for `status`
  const Clock& clock = system_clock();
  const int64_t started_us = system_clock().steady_us();
  net::DialOptions dial_options;
  size_t most_sessions = static_cast<size_t>(loaded.config.intercept.max_sessions);
  uint16_t internal_port = 0;
  uint16_t api_port = 0;
  uint16_t edge_port = 0;  // as the edge has written it, else as configured
  int64_t drain_until_us = 0;
  bool draining = false;

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
  net::Loop loop;
  std::unique_ptr<attribution::Attributor> attributor;
  std::optional<KeyPrinter> key_printer;
  std::unique_ptr<relay::RelayContext> context;
  std::unique_ptr<relay::Acceptor> acceptor;
  std::unique_ptr<relay::LoopMonitor> monitor;
  std::unique_ptr<relay::LedgerCollector> ledger;
  std::unique_ptr<InterceptorFacts> facts;
  std::unique_ptr<net::ControlServer> control;
  std::unique_ptr<net::ControlRequest> farewell;
  Heartbeat heartbeat;
  std::unique_ptr<api::ApiThread> api;
  std::unique_ptr<net::SignalWatch> on_term;
  std::unique_ptr<net::SignalWatch> on_int;
  std::unique_ptr<net::FdWatch> lifeline;
  std::unique_ptr<net::Timer> drain_timer;
};

// --- start -------------------------------------------------------------------------------------

bool InterceptorApp::Parts::prepare() {
  for (const std::string& warning : loaded.warnings)
    log::warn("config.warning").with("text", warning);
  add_providers();
  if (const auto made = ensure_dir(home.root()); !made)
    log::warn("daemon.home_unusable").with("folder", home.root().string()).with(made.error());

  if (const auto printer = KeyPrinter::load_or_create(home.key_print_secret())) {
    key_printer.emplace(*printer);
  } else {
    log::warn("daemon.key_prints_off")
        .with("file", home.key_print_secret().string())
        .with(printer.error());
  }
  store::WriterOptions options;
  options.database = home.database();
  options.spool_dir = home.spool_dir();
  pricing::UserRates rates = pricing::load_user_rates(home.rates());
  if (!rates.problem.empty()) warn_of_config(rates.problem);
  writer = std::make_unique<store::Writer>(options, queue, std::move(rates.card), clock);
  if (const auto started = writer->start(); !started) {
    log::error("store.start_failed").with(started.error());
    return false;
  }
  return prepare_tls();
}

void InterceptorApp::Parts::warn_of_config(std::string text) {
  log::warn("config.warning").with("text", text);
  warnings.push_back(std::move(text));
}

void InterceptorApp::Parts::add_providers() {
  for (const config::ExtraProvider& extra : loaded.config.providers) {
    const auto address = wire::parse_authority(extra.host);
    const std::string problem =
        address ? providers.add({address->host, address->port.value_or(443), extra.name,
                                 extra.rates, extra.shape, extra.path})
                : "has a host that cannot be read";
    if (!problem.empty()) {
      warn_of_config("[[provider]] " + extra.name + ' ' + problem + "; ignored");
    } else {
      hosts.add(extra.host);
    }
  }
}

bool InterceptorApp::Parts::prepare_tls() {
  auto ca = tls::Authority::load_or_create(home.ca_dir(), hosts.names(), clock);
  if (!ca) {
    log::error("daemon.ca_unusable")
        .with("folder", home.ca_dir().string())
        .with(ca.error())
        .with("text", ca.error().code == Code::permission
                          ? "key or folder is open to others: chmod 700 the folder, chmod 600 "
                            "ca-key.pem in it"
                          : "remove the folder to have a new CA made");
    return false;
  }
  authority = std::move(*ca);
  for (const std::string& host : hosts.names()) {
    if (!authority->covers(host))
      warn_of_config("the CA in " + home.ca_dir().string() + " is older than the entry of " + host +
                     " and does not cover it, so its calls are tunnelled unmetered; halton-meter "
                     "setup --force makes a new CA (or remove that folder and restart)");
  }
  tls::OriginSideContext::Options roots;
  roots.extra_roots = loaded.config.upstream.ca_file;
  auto origin = tls::OriginSideContext::create(roots);
  if (!origin && !roots.extra_roots.empty()) {
    log::warn("config.warning")
        .with("text", "[upstream] ca_file cannot be read; only the system's roots are trusted")
        .with(origin.error());
    roots.extra_roots.clear();
    origin = tls::OriginSideContext::create(roots);
  }
  auto client = tls::ClientSideContext::create();
  if (!client || !origin) {
    log::error("daemon.tls_unusable").with(client ? origin.error() : client.error());
    return false;
  }
  client_side = std::move(*client);
  origin_side = std::move(*origin);
  leaves = std::make_unique<tls::LeafCache>(*authority, clock);
  return true;
}

bool InterceptorApp::Parts::listen() {
  const config::Config& config = loaded.config;
  trust = std::make_unique<relay::TrustMemory>(clock, config.intercept.trust_memory_s * 1'000'000);
  attribution::TagConfig tags;
  tags.default_project = config.tagging.default_project;
  attributor = std::make_unique<attribution::Attributor>(loop, tags);
  relay::RelayLimits limits;
  limits.max_sessions = most_sessions;
  limits.hello_timeout_ms = config.intercept.hello_timeout_ms;
  limits.handshake_timeout_ms = config.intercept.handshake_timeout_ms;
  context = std::make_unique<relay::RelayContext>(relay::RelayContext{
      loop, clock, dial_options, providers, *client_side, *origin_side, *authority, *leaves, *trust,
      *attributor, queue, limits, key_printer ? &*key_printer : nullptr});
  acceptor = std::make_unique<relay::Acceptor>(*context);

  const auto known = config::read_ports(place.ports_file);
  edge_port = static_cast<uint16_t>(config.daemon.edge_port);
  if (known && known->edge_port) edge_port = *known->edge_port;
  dial_options.is_own_port = [this](uint16_t port) {
    return port == internal_port || port == api_port || port == edge_port;
  };
  const auto wanted =
      flags.internal_port.value_or(static_cast<uint16_t>(config.daemon.internal_port));
  const auto port = acceptor->listen(wanted, kNextPorts);
  if (!port) {
    log::error("daemon.startup.failed")
        .with("port", wanted)
        .with(port.error())
        .with("text", "no port near it is free; pin [daemon] internal_port in config.toml");
    return false;
  }
  internal_port = *port;
  if (wanted != 0 && internal_port != wanted) {
    log::warn("daemon.port_taken")
        .with("wanted", wanted)
        .with("port", internal_port)
        .with("text", describe_port_holder(wanted) +
                          " holds the port; the edge finds the new one by itself");
  }
  return true;
}

void InterceptorApp::Parts::open_control() {
  facts = std::make_unique<InterceptorFacts>(
      InterceptorFacts{version, started_us, internal_port, api_port, warnings, clock, *writer,
                       queue, *acceptor, *monitor, *trust, *authority,
                       [this] { loop.post([this] { drain(loaded.config.intercept.drain_ms); }); }});
  control = std::make_unique<net::ControlServer>(
      loop, [this](std::string_view line) { return answer_control(*facts, line); });
  if (const auto listening = control->listen(place.daemon_socket); !listening)
    log::warn("daemon.control_socket")
        .with("path", place.daemon_socket.string())
        .with(listening.error());
}

// --- stop --------------------------------------------------------------------------------------

void InterceptorApp::Parts::drain(int64_t limit_ms) {
  if (draining) return loop.stop();  // asked twice: now
  draining = true;
  notify::send("STOPPING=1");
  log::info("daemon.drain").with("sessions", acceptor->sessions());
  drain_until_us = clock.steady_us() + limit_ms * 1000;
  drain_timer = std::make_unique<net::Timer>(loop, [this] { drain_pulse(); });
  drain_timer->start_repeating(kDrainPulseMs);
  // A connection that ends from now on ends in order; nobody was lost.
  farewell = std::make_unique<net::ControlRequest>(loop);
  farewell->send(place.edge_socket, wire::control_request("leaving"), kFarewellMs, 4096,
                 [](const Result<std::string>&) {});
  ledger->collect();
  drain_pulse();
}

void InterceptorApp::Parts::drain_pulse() {
  acceptor->drain();
  const bool done = acceptor->sessions() == 0 && !farewell->busy() && !ledger->busy();
  if (done || clock.steady_us() >= drain_until_us) loop.stop();
}

void InterceptorApp::Parts::stop() {
  if (api != nullptr) api->stop();
  const size_t open = acceptor != nullptr ? acceptor->sessions() : 0;
  if (control != nullptr) control->close();
  acceptor.reset();  // sessions that are still open write what they know
  attributor.reset();
  if (writer != nullptr) writer->stop();
  log::info("daemon.exit").with("open_sessions", open);
  log::stop();
}

InterceptorApp::InterceptorApp(const setup::ProcessFlags& flags, std::string version)
    : parts_(std::make_unique<Parts>(flags, std::move(version))) {}

InterceptorApp::~InterceptorApp() = default;

int InterceptorApp::run() {
  Parts& app = *parts_;
  setup::start_log(app.loaded.config, app.home.daemon_log());
  app.most_sessions = setup::raise_descriptor_limit(app.most_sessions);
  if (!app.prepare() || !app.listen()) {
    app.stop();
    return 1;
  }
  app.monitor = std::make_unique<relay::LoopMonitor>(app.loop, app.clock);
  app.heartbeat.monitor = app.monitor.get();
  app.monitor->start();

  api::ApiOptions api_options;
  api_options.port =
      app.flags.api_port.value_or(static_cast<uint16_t>(app.loaded.config.daemon.api_port));
  api_options.allow_origins = app.loaded.config.cors.allow_origins;
  api_options.version = app.version;
  app.api = std::make_unique<api::ApiThread>(api_options, app.heartbeat);
  if (const auto port = app.api->start()) {
    app.api_port = *port;
    if (api_options.port != 0 && app.api_port != api_options.port) {
      log::warn("daemon.port_taken")
          .with("wanted", api_options.port)
          .with("port", app.api_port)
          .with("text", describe_port_holder(api_options.port) + " holds the HTTP API's port");
    }
  } else {
    log::warn("daemon.api_unavailable").with("port", api_options.port).with(port.error());
  }

  config::EffectivePorts mine;
  mine.internal_port = app.internal_port;
  if (app.api_port != 0) mine.api_port = app.api_port;
  if (const auto written = config::write_ports(app.place.ports_file, mine, app.clock.wall_us());
      !written)
    log::warn("daemon.ports_file")
        .with("file", app.place.ports_file.string())
        .with(written.error());
  app.open_control();
  app.ledger = std::make_unique<relay::LedgerCollector>(app.loop, app.place.edge_socket, app.queue);
  app.ledger->start();

  const auto stop_soon = [&app] { app.drain(app.loaded.config.intercept.drain_ms); };
  app.on_term = std::make_unique<net::SignalWatch>(app.loop, SIGTERM, stop_soon);
  app.on_int = std::make_unique<net::SignalWatch>(app.loop, SIGINT, stop_soon);
  if (app.flags.lifeline >= 0) {
    app.lifeline =
        std::make_unique<net::FdWatch>(app.loop, [&app] { app.drain(kLifelineLimitMs); });
    if (const auto watching = app.lifeline->start(app.flags.lifeline); !watching)
      log::warn("daemon.lifeline").with(watching.error());
  }
  log::info("daemon.startup.ready")
      .with("internal_port", app.internal_port)
      .with("api_port", app.api_port)
      .with("version", app.version)
      .with("took_us", app.clock.steady_us() - app.started_us);
  notify::send("READY=1");
  app.loop.run();
  app.stop();
  return 0;
}

}  // namespace hm
