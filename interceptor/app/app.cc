#include "interceptor/app/app.h"

#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/base/notify.h"
#include "common/config/ports.h"
#include "common/wire/ask.h"
#include "common/wire/connect_head.h"
#include "common/wire/control_message.h"
#include "interceptor/app/app_parts.h"
#include "interceptor/http/decoder.h"
#include "interceptor/pricing/user_rates.h"

namespace hm {
namespace {

constexpr int kNextPorts = 20;
constexpr int64_t kKeepMs = 1000;
constexpr int64_t kArrivalMs = 500;
constexpr std::string_view kPurpose = "intercept";
constexpr std::string_view kApiPurpose = "api";
constexpr std::string_view kApi6Purpose = "api6";

}  // namespace

bool InterceptorApp::Parts::prepare() {
  for (const std::string& warning : loaded.warnings)
    log::warn("config.warning").with("text", warning);
  add_providers();
  warnings.insert(warnings.end(), provider_warnings.begin(), provider_warnings.end());
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
  if (!rates.problem.empty()) log::warn("config.warning").with("text", rates.problem);
  rates_warning = std::move(rates.problem);
  rates_card = rates.card->id();
  writer = std::make_unique<store::Writer>(options, queue, std::move(rates.card), clock);
  if (const auto started = writer->begin(); !started) {
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
  // The self-test's answer is that of a counting call: a row, and no cost.
  static_cast<void>(providers.add({std::string(wire::kSelfTestHost),
                                   443,
                                   std::string(wire::kSelfTestProvider),
                                   "anthropic",
                                   "anthropic",
                                   {}}));
  for (const config::ExtraProvider& extra : loaded.config.providers) {
    const auto address = wire::parse_authority(extra.host);
    const std::string problem =
        address ? providers.add({address->host, address->port.value_or(443), extra.name,
                                 extra.rates, extra.shape, extra.path})
                : "has a host that cannot be read";
    if (!problem.empty()) {
      provider_warnings.push_back("[[provider]] " + extra.name + ' ' + problem + "; ignored");
      log::warn("config.warning").with("text", provider_warnings.back());
    } else {
      hosts.add(extra.host);
    }
  }
}

void InterceptorApp::Parts::check_coverage() {
  for (const std::string& host : hosts.names()) {
    if (!authority->covers(host))
      warn_of_config("the CA in " + home.ca_dir().string() + " is older than the entry of " + host +
                     " and does not cover it, so its calls are tunnelled unmetered; halton-meter "
                     "setup --force makes a new one");
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
                          : "halton-meter setup --force makes a new CA");
    return false;
  }
  authority = std::move(*ca);
  check_coverage();
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
  // Without it calls for the reserved name fail, and nothing else does.
  tls::OriginSideContext::Options ours_alone;
  ours_alone.system_roots = home.ca_cert();
  ours_alone.resume = false;  // each test is a whole one
  if (auto verifying = tls::OriginSideContext::create(ours_alone))
    self_test_trust = std::move(*verifying);
  return true;
}

relay::StoreProgress InterceptorApp::Parts::progress() {
  return {[this] { return queue.accepted(); },
          [this] { return writer->status().rows_safe.load(); }};
}

bool InterceptorApp::Parts::listen() {
  const config::Config& config = loaded.config;
  http::set_decoded_limit(decoded_bytes());
  trust = std::make_unique<relay::TrustMemory>(clock, config.intercept.trust_memory_s * 1'000'000);
  trust_file = std::make_unique<relay::TrustFile>(loop, *trust, home.refusals());
  trust_file->load();
  silent_origins = std::make_unique<relay::SilentOrigins>(clock);
  attribution::TagConfig tags;
  tags.default_project = config.tagging.default_project;
  attributor = std::make_unique<attribution::Attributor>(loop, tags);
  flights = std::make_unique<relay::FlightLog>(progress());
  if (const auto kept_in = flights->keep_in(wire::ledger_folders(home, place)); !kept_in)
    log::warn("daemon.flights_without_name").with(kept_in.error());
  flights_keeper = std::make_unique<setup::LedgerKeeper>(loop, home, place,
                                                         wire::LedgerKind::daemon, flights->file());
  flights_timer = std::make_unique<net::Timer>(loop, [this] { flights_keeper->pulse(); });
  flights_timer->start_repeating(kKeepMs);
  context = std::make_unique<relay::RelayContext>(relay::RelayContext{
      loop, clock, dial_options, providers, *client_side, *origin_side, *authority, *leaves, *trust,
      *silent_origins, *attributor, queue, limits(), key_printer ? &*key_printer : nullptr,
      flights.get(), place.edge_socket});
  if (self_test_trust != nullptr) {
    self_test = std::make_unique<relay::SelfTestOrigin>(loop, *client_side, *leaves,
                                                        std::move(self_test_trust));
    context->self_test = self_test.get();
  }
  acceptor = std::make_unique<relay::Acceptor>(*context);

  const auto known = config::read_ports(place.ports_file);
  edge_port = static_cast<uint16_t>(config.daemon.edge_port);
  const std::optional<uint16_t> written = known ? known->edge_port : std::nullopt;
  edge_port = written.value_or(edge_port);
  // Whatever the file said: an edge may start later, or move.
  context->on_edge_port = [this](uint16_t port) { edge_port = port; };
  dial_options.is_own_port = [this](uint16_t port) {
    return port == internal_port || port == api_port || port == edge_port;
  };
  const auto wanted =
      flags.internal_port.value_or(static_cast<uint16_t>(config.daemon.internal_port));
  const int claimed = kept.claim(kPurpose, wanted);
  // Without a kept socket a predecessor that still leaves holds the port.
  if (claimed < 0) succeeds = setup::Departure::take_over(place.daemon_socket);
  const auto port = acceptor->listen(claimed, wanted, kNextPorts);
  if (!port) {
    log::error("daemon.startup.failed")
        .with("port", wanted)
        .with(port.error())
        .with("text", "no port near it is free; pin [daemon] internal_port in config.toml");
    return false;
  }
  internal_port = *port;
  kept.keep(kPurpose, wanted, claimed, acceptor->listening());
  setup::warn_port_taken("daemon.port_taken", wanted, internal_port,
                         "the port; the edge finds the new one by itself");
  return true;
}

void InterceptorApp::Parts::start_api() {
  api::ApiOptions options;
  options.port = flags.api_port.value_or(static_cast<uint16_t>(loaded.config.daemon.api_port));
  options.allow_origins = loaded.config.cors.allow_origins;
  options.version = version;
  options.kept_v4 = kept.claim(kApiPurpose, options.port);
  options.kept_v6 = kept.claim(kApi6Purpose, options.port);
  api = std::make_unique<api::ApiThread>(options, heartbeat);
  const auto port = api->start();
  if (!port) {
    log::warn("daemon.api_unavailable").with("port", options.port).with(port.error());
    return;
  }
  api_port = *port;
  kept.keep(kApiPurpose, options.port, options.kept_v4, api->doors().v4);
  kept.keep(kApi6Purpose, options.port, options.kept_v6, api->doors().v6);
  setup::warn_port_taken("daemon.port_taken", options.port, api_port, "the HTTP API's port");
}

void InterceptorApp::Parts::open_control() {
  facts = std::make_unique<InterceptorFacts>(
      InterceptorFacts{version,
                       started_us,
                       internal_port,
                       api_port,
                       warnings,
                       clock,
                       *writer,
                       queue,
                       *acceptor,
                       *monitor,
                       *trust,
                       *silent_origins,
                       *authority,
                       rates_card,
                       rates_warning,
                       [this] { return rates_work != nullptr && rates_work->busy(); },
                       [this] { loop.post([this] { departure.leave(); }); },
                       [this] { return departure.relieve(); },
                       [this] { return departure.leaving() || draining; },
                       [this] { read_rates(); },
                       reload});
  control = std::make_unique<net::ControlServer>(
      loop, [this](std::string_view line) { return answer_control(*facts, line); });
  // Both accept from the same sockets until here; from here on calls are ours.
  if (kept.any_claimed() && !succeeds) succeeds = setup::Departure::take_over(place.daemon_socket);
  kept.close_rest();
  const bool take_over = succeeds || kept.any_claimed();
  if (const auto listening = control->listen(place.daemon_socket, take_over); !listening)
    log::warn("daemon.control_socket")
        .with("path", place.daemon_socket.string())
        .with(listening.error());
}

// An edge that is there already need not find out by itself.
void InterceptorApp::Parts::announce() {
  if (!control->reachable()) return;
  arrival = std::make_unique<net::ControlRequest>(loop);
  arrival->send(place.edge_socket,
                wire::control_request("arrived", {std::to_string(internal_port)}), kArrivalMs, 4096,
                [](const Result<std::string>&) {});
}

InterceptorApp::InterceptorApp(const setup::ProcessFlags& flags, std::string version,
                               const setup::Inheritance& given)
    : parts_(std::make_unique<Parts>(flags, std::move(version), given)) {}

InterceptorApp::~InterceptorApp() = default;

int InterceptorApp::run() {
  Parts& app = *parts_;
  setup::start_log(app.loaded.config, app.home.daemon_log());
  app.most_sessions = setup::raise_descriptor_limit(app.most_sessions);
  if (!app.prepare() || !app.listen()) {
    app.stop();
    return 1;
  }
  app.writer->await_open();  // it went on beside the rest
  app.monitor = std::make_unique<relay::LoopMonitor>(app.loop, app.clock);
  app.heartbeat.monitor = app.monitor.get();
  app.monitor->start();

  app.start_api();

  config::EffectivePorts mine;
  mine.internal_port = app.internal_port;
  if (app.api_port != 0) mine.api_port = app.api_port;
  setup::publish_ports("daemon.ports_file", app.place, mine, app.clock.wall_us());
  app.open_control();
  app.ledger = std::make_unique<relay::LedgerCollector>(app.loop, app.clock, app.place.edge_socket,
                                                        wire::ledger_folders(app.home, app.place),
                                                        app.queue, app.progress());
  app.ledger->start();
  app.announce();
  app.watch_signals();
  app.departure.start();
  log::info("daemon.startup.ready")
      .with("internal_port", app.internal_port)
      .with("api_port", app.api_port)
      .with("kept_sockets", app.kept.any_claimed())
      .with("succeeds", app.succeeds)
      .with("version", app.version)
      .with("took_us", app.clock.steady_us() - app.started_us);
  notify::send("READY=1", 2000);
  app.loop.run();
  app.stop();
  return 0;
}

}  // namespace hm
