#include "common/net/dialer.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "common/base/counters.h"
#include "common/net/connect_race.h"
#include "common/net/loop.h"
#include "common/net/proxy_handshake.h"
#include "common/net/resolver.h"
#include "common/net/timer.h"

namespace hm::net {

namespace {

constexpr int64_t kResolutionDelayMs = 50;  // RFC 8305, section 3: an AAAA may still be coming
constexpr int64_t kDescriptorPauseMs = 100;
constexpr const char* kOwnPort = "dialer.own_port";
constexpr const char* kProxyStatus = "dialer.proxy_status";

struct Target {
  std::string host;  // without brackets
  uint16_t port = 0;
};

std::string without_brackets(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return std::string(host);
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

// The name goes into a CONNECT line and to the resolver: nothing that could end either.
bool speakable(std::string_view host) {
  return !host.empty() && host.size() <= 255 && std::ranges::all_of(host, [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
  });
}

std::optional<Target> parse_target(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  Target target{without_brackets(text.substr(0, colon)), 0};
  const std::string_view digits = text.substr(colon + 1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), target.port);
  if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return std::nullopt;
  return target;
}

// As curl's --connect-to: the entry for "host:port", brackets around an IPv6 literal.
std::optional<Target> redirected(const DialOptions& options, const Target& asked) {
  if (options.connect_to.empty()) return asked;
  const bool six = asked.host.find(':') != std::string::npos;
  const std::string name = lower(six ? "[" + asked.host + "]" : asked.host);
  const auto found = options.connect_to.find(name + ":" + std::to_string(asked.port));
  if (found == options.connect_to.end()) return asked;
  return parse_target(found->second);
}

}  // namespace

// One dial, from the first look-up to the connection. Freed before its owner is told.
struct Dialer::Attempt {
  Dialer& dialer;
  Callback callback;
  Timer deadline;
  Timer soon;  // tells a failure that is known already, from the loop
  Timer wait;  // for the other family, or for a descriptor
  Error known_failure;
  Target target;                       // what the connection is to reach
  std::optional<UpstreamProxy> proxy;  // through this one; a copy, for `reload` changes options
  bool for_request = false;
  bool checked = true;  // our own ports are out of bounds
  uint16_t resolved_port = 0;
  std::unique_ptr<Resolver::Question> question;
  std::vector<SocketAddress> addresses;  // all that came so far
  bool own_port_met = false;
  bool more_to_come = false;
  std::unique_ptr<ConnectRace> race;
  std::unique_ptr<ProxyHandshake> handshake;

  Attempt(Dialer& the_dialer, Callback the_callback)
      : dialer(the_dialer),
        callback(std::move(the_callback)),
        deadline(dialer.loop_,
                 [this] { finish(fail(Code::timeout, "dialer.deadline", ETIMEDOUT)); }),
        soon(dialer.loop_, [this] { finish(std::unexpected(known_failure)); }),
        wait(dialer.loop_, [this] { run_race(); }) {}

  void fail_soon(Error error) {
    known_failure = error;
    soon.start_once(0);
  }

  void start(const Target& asked) {
    const DialOptions& options = dialer.options_;
    if (!speakable(asked.host)) return fail_soon({Code::malformed, "dialer.host", 0});
    const auto redirect = redirected(options, asked);
    if (!redirect || !speakable(redirect->host))
      return fail_soon({Code::malformed, "dialer.connect_to", 0});
    target = *redirect;
    if (options.proxy && !bypasses_proxy(options, asked.host) &&
        !bypasses_proxy(options, target.host) && !leads_in_a_circle(*options.proxy)) {
      proxy = options.proxy;
      // In absolute form the request names its host itself.
      for_request = for_request && target.host == asked.host && target.port == asked.port;
    }
    if (proxy)
      resolve(without_brackets(proxy->host), proxy->port);
    else
      resolve(target.host, target.port);
  }

  // An upstream proxy that is ourselves (HTTPS_PROXY of the shell, copied into config.toml).
  [[nodiscard]] bool leads_in_a_circle(const UpstreamProxy& upstream) const {
    const auto& is_own = dialer.options_.is_own_port;
    if (!is_own || !is_own(upstream.port)) return false;
    const auto literal = parse_address(without_brackets(upstream.host), 0);
    return literal ? literal->this_machine() : bypasses_proxy({}, upstream.host);
  }

  void resolve(const std::string& host, uint16_t port) {
    resolved_port = port;
    const auto literal = parse_address(host, port);
    if (literal || local_name(host)) {
      if (literal)
        take({*literal});
      else
        take({parse_address("::1", port).value(), parse_address("127.0.0.1", port).value()});
      if (addresses.empty()) return fail_soon({Code::permission, kOwnPort, 0});
      return run_race();
    }
    more_to_come = true;
    question = resolver_of(dialer.loop_).ask(host, [this](const Resolver::Answer& answer) {
      on_answer(answer);
    });
  }

  void take(const std::vector<SocketAddress>& fresh) {
    const auto& is_own = dialer.options_.is_own_port;
    for (SocketAddress address : fresh) {
      address.set_port(resolved_port);
      if (checked && is_own && address.this_machine() && is_own(resolved_port))
        own_port_met = true;
      else
        addresses.push_back(address);
    }
  }

  void on_answer(const Resolver::Answer& answer) {
    const size_t before = addresses.size();
    take(answer.addresses);
    if (answer.last) {
      more_to_come = false;
      question.reset();
    }
    if (race != nullptr) {
      if (addresses.size() > before)
        race->add({addresses.begin() + static_cast<ptrdiff_t>(before), addresses.end()});
      if (answer.last) race->no_more();
      return;
    }
    if (addresses.empty()) {
      if (!answer.last) return;
      const Error own{Code::permission, kOwnPort, 0};
      return finish(std::unexpected(own_port_met ? own : answer.error));
    }
    if (answer.last || answer.family != AF_INET) return run_race();
    if (!wait.running()) wait.start_once(kResolutionDelayMs);
  }

  void run_race() {
    wait.stop();
    race = std::make_unique<ConnectRace>(
        dialer.loop_, addresses, more_to_come,
        [this](Result<TcpSocket> result) { on_connected(std::move(result)); });
  }

  void on_connected(Result<TcpSocket> result) {
    if (!result && result.error().code == Code::exhausted && dialer.options_.wait_for_descriptors) {
      static Counter& waited = counters::get("net.dial_waited_for_descriptor");
      waited.add();
      race.reset();
      return wait.start_once(kDescriptorPauseMs);
    }
    if (!result || !proxy || for_request) return finish(std::move(result));
    handshake = std::make_unique<ProxyHandshake>(
        std::move(*result), target.host, target.port, proxy->basic_auth,
        [this](Result<TcpSocket> answer) { finish(std::move(answer)); });
  }

  // This object is gone when the owner is told: the owner may dial again, or destroy the Dialer.
  void finish(Result<TcpSocket> result) {
    const Callback tell = std::move(callback);
    dialer.plain_proxy_ = result && for_request ? std::move(proxy) : std::nullopt;
    dialer.attempt_.reset();
    tell(std::move(result));
  }
};

int proxy_status(const Error& error) {
  return std::string_view(error.where) == kProxyStatus ? static_cast<int>(error.detail) : 0;
}

bool is_own_port(const Error& error) {
  return std::string_view(error.where) == kOwnPort;
}

Dialer::Dialer(Loop& loop, const DialOptions& options) : loop_(loop), options_(options) {}

Dialer::~Dialer() = default;

void Dialer::dial(const std::string& host, uint16_t port, Callback callback, int64_t limit_ms) {
  attempt_ = std::make_unique<Attempt>(*this, std::move(callback));
  attempt_->deadline.start_once(limit_ms > 0 ? limit_ms : options_.timeout_ms);
  attempt_->start({without_brackets(host), port});
}

void Dialer::dial_for_request(const std::string& host, uint16_t port, Callback callback) {
  attempt_ = std::make_unique<Attempt>(*this, std::move(callback));
  attempt_->for_request = true;
  attempt_->deadline.start_once(options_.timeout_ms);
  attempt_->start({without_brackets(host), port});
}

void Dialer::dial_local(uint16_t port, int64_t timeout_ms, Callback callback) {
  attempt_ = std::make_unique<Attempt>(*this, std::move(callback));
  attempt_->deadline.start_once(timeout_ms);
  attempt_->checked = false;
  attempt_->resolve("127.0.0.1", port);
}

void Dialer::cancel() {
  attempt_.reset();
}

}  // namespace hm::net
