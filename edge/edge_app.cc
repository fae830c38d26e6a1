#include "edge/edge_app.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/base/notify.h"
#include "common/config/ports.h"

namespace hm::edge {
namespace {

constexpr int kNextPorts = 20;
// After the last tunnel the interceptor may still want the ledger (it asks every second).
constexpr int64_t kLedgerGraceUs = 2'500'000;
// How long the end of a process that nobody supervises may take: somebody waits for it.
constexpr int64_t kMostAloneMs = 5'000;
constexpr std::string_view kPurpose = "edge";

uint16_t port_of(const std::optional<uint16_t>& known, int64_t configured) {
  return known.value_or(static_cast<uint16_t>(configured));
}

}  // namespace

EdgeApp::EdgeApp(const setup::ProcessFlags& flags, std::string version,
                 const setup::Inheritance& given)
    : flags_(flags),
      supervised_(given.supervised()),
      version_(std::move(version)),
      home_(setup::home_of(flags)),
      place_(setup::place_of(flags, home_)),
      loaded_(setup::config_of(home_)),
      started_us_(clock_.steady_us()),
      kept_(given.kept),
      departure_(loop_, given, [this](bool relieved) { stand_down(relieved); }),
      dial_options_(setup::dial_options(loaded_.config, loaded_.config.edge.connect_timeout_ms)),
      watch_(loop_, [this](int64_t process) { knocker_.on_process_end(process); }),
      knocker_(loop_, dial_options_, loaded_.config.edge, place_.ports_file, gate_, clock_, watch_,
               [this] {
                 for (const auto& [id, call] : calls_) call->on_gate_closed();
               }),
      context_{loop_, clock_,   loaded_.config, dial_options_, hosts_,
               gate_, knocker_, ledger_,        watch_},
      listener_(loop_, [this](net::TcpSocket socket) { on_accept(std::move(socket)); }),
      control_(loop_, [this](std::string_view line) { return answer(line); }),
      lifeline_(loop_, [this] { drain(-1); }),
      pulse_(loop_,
             [this] {
               notify::send("WATCHDOG=1");
               keeper_.pulse();
               check_drained();
             }),
      drain_limit_(loop_, [this] { loop_.stop(); }),
      ports_work_(loop_),
      keeper_(loop_, home_, place_, wire::LedgerKind::edge, ledger_.file()),
      reload_(loop_, home_.config(), loaded_,
              [this](const std::vector<std::string>&, const setup::ConfigReload::Done& done) {
                take_up_config();
                done({});
              }) {
  dial_options_.wait_for_descriptors = true;
  dial_options_.is_own_port = [this](uint16_t port) {
    return port == context_.edge_port || port == knocker_.port() || port == knocker_.api_port();
  };
}

EdgeApp::~EdgeApp() {
  if (parked_ >= 0) ::close(parked_);
}

Result<uint16_t> EdgeApp::start() {
  for (const std::string& warning : loaded_.warnings)
    log::warn("config.warning").with("text", warning);
  add_hosts();
  if (const auto made = ensure_dir(home_.root()); !made)
    log::warn("edge.home_unusable").with("folder", home_.root().string()).with(made.error());

  const uint16_t wanted = port_of(flags_.edge_port, loaded_.config.daemon.edge_port);
  const int claimed = kept_.claim(kPurpose, wanted);
  // Without a kept socket a predecessor that still leaves holds the port.
  bool relieved = claimed < 0 && setup::Departure::take_over(place_.edge_socket);
  const auto port = listener_.adopt_or_listen_near(claimed, "127.0.0.1", wanted, kNextPorts);
  if (!port) return port;
  kept_.keep(kPurpose, wanted, claimed, listener_.file_descriptor());
  context_.edge_port = *port;
  setup::warn_port_taken("edge.port_taken", wanted, *port,
                         "the port; halton-meter env prints the new one, or pin [daemon] "
                         "edge_port in config.toml");
  const auto ports = config::read_ports(place_.ports_file).value_or(config::EffectivePorts{});
  setup::publish_ports("edge.ports_file", place_, {.edge_port = *port, .edge_pid = ::getpid()},
                       clock_.wall_us());
  if (const auto ledger = ledger_.keep_in(wire::ledger_folders(home_, place_), clock_.wall_us());
      !ledger)
    log::warn("edge.ledger_without_name").with(ledger.error());
  if (!ledger_.empty()) log::info("edge.ledger.loaded").with("calls", ledger_.calls());
  // Both accept from the same socket until here; from here on calls are ours.
  relieved = relieved || (claimed >= 0 && setup::Departure::take_over(place_.edge_socket));
  kept_.close_rest();
  if (const auto listening = control_.listen(place_.edge_socket, relieved || claimed >= 0);
      !listening)
    log::warn("edge.control_socket")
        .with("path", place_.edge_socket.string())
        .with(listening.error());

  // A pair of one command knows only itself, not who is at the usual port.
  const int64_t usual = flags_.lifeline >= 0 ? 0 : loaded_.config.daemon.internal_port;
  knocker_.start(port_of(ports.internal_port, usual),
                 port_of(ports.api_port, loaded_.config.daemon.api_port), *port);
  pulse_.start_repeating(1000);
  if (flags_.lifeline >= 0) {
    if (const auto watching = lifeline_.start(flags_.lifeline); !watching)
      log::warn("edge.lifeline").with(watching.error());
  }
  departure_.start();
  log::info("edge.startup.ready")
      .with("port", *port)
      .with("kept_socket", claimed >= 0)
      .with("succeeds", relieved)
      .with("version", version_)
      .with("took_us", clock_.steady_us() - started_us_);
  notify::send("READY=1", 2000);
  return port;
}

void EdgeApp::add_hosts() {
  for (const config::ExtraProvider& provider : loaded_.config.providers) hosts_.add(provider.host);
}

// Everything else is read where it is needed.
void EdgeApp::take_up_config() {
  setup::update_dial_options(dial_options_, loaded_.config, loaded_.config.edge.connect_timeout_ms);
  hosts_ = wire::HostTable();
  add_hosts();
  most_calls_ =
      setup::raise_descriptor_limit(static_cast<size_t>(loaded_.config.edge.max_connections));
  if (calls_.size() < most_calls_) accept_again();
}

int EdgeApp::run() {
  setup::start_log(loaded_.config, home_.edge_log());
  most_calls_ = setup::raise_descriptor_limit(most_calls_);
  const auto stop = [this] {
    if (departure_.leaving()) return loop_.stop();  // asked twice: now
    departure_.leave();
  };
  on_term_ = std::make_unique<net::SignalWatch>(loop_, SIGTERM, stop);
  on_int_ = std::make_unique<net::SignalWatch>(loop_, SIGINT, stop);
  const auto port = start();
  if (!port) {
    log::error("edge.startup.failed").with(port.error()).with("text", "no port is free near it");
    log::stop();
    return 1;
  }
  loop_.run();
  finish();
  log::info("edge.exit").with("open_calls", calls_.size());
  log::stop();
  return 0;
}

void EdgeApp::finish() {
  knocker_.stop();
  control_.close();
  for (const auto& [id, call] : calls_) call->write_off();
  keeper_.close(ledger_.needed());
}

void EdgeApp::on_accept(net::TcpSocket socket) {
  static Counter& accepted = counters::get("edge.accepted");
  static Counter& strangers = counters::get("edge.refused_other_user");
  static Counter& full = counters::get("edge.accept_paused");
  accepted.add();
  // Loopback is shared by everybody on the machine; this proxy is not.
  if (const auto uid = net::peer_uid(socket); uid && *uid != ::getuid()) {
    strangers.add();
    return;
  }
  const uint64_t id = next_id_++;
  auto call = std::make_unique<Call>(context_, static_cast<Call::Owner&>(*this), id);
  Call& started = *calls_.emplace(id, std::move(call)).first->second;
  if (calls_.size() >= most_calls_ && parked_ < 0) {
    full.add();
    parked_ = ::fcntl(listener_.file_descriptor(), F_DUPFD_CLOEXEC, 0);
    if (parked_ >= 0) listener_.close();
  }
  started.start(std::move(socket));
}

// The socket stayed open: who came meanwhile waits in its backlog.
void EdgeApp::accept_again() {
  if (parked_ < 0) return;
  if (const auto adopted = listener_.adopt(std::exchange(parked_, -1)); !adopted)
    log::error("edge.accept").with(adopted.error());
}

void EdgeApp::on_call_over(uint64_t id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  loop_.bury(std::move(found->second));
  calls_.erase(found);
  accept_again();
  if (draining_) check_drained();
}

void EdgeApp::stand_down(bool relieved) {
  if (relieved) control_.disown();
  const int64_t limit_ms = loaded_.config.edge.drain_ms;
  drain(supervised_ ? limit_ms : std::min(limit_ms, kMostAloneMs));
}

void EdgeApp::drain(int64_t limit_ms) {
  if (draining_) return loop_.stop();
  draining_ = true;
  accept_again();
  listener_.close();
  setup::retract_edge(ports_work_, place_, clock_.wall_us());
  log::info("edge.drain").with("open_calls", calls_.size()).with("relieved", departure_.relieved());
  if (limit_ms >= 0) drain_limit_.start_once(limit_ms);
  pulse_.start_repeating(100);
  check_drained();
}

void EdgeApp::check_drained() {
  if (!draining_ || !calls_.empty()) return;
  const int64_t now = clock_.steady_us();
  if (drained_at_us_ == 0) drained_at_us_ = now;
  if (departure_.relieved() || ledger_.empty() || !gate_.open() ||
      now - drained_at_us_ > kLedgerGraceUs)
    loop_.stop();
}

}  // namespace hm::edge
