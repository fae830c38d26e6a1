#include "common/net/dialer.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "common/net/connect_race.h"
#include "common/net/loop.h"
#include "common/net/proxy_handshake.h"
#include "common/net/timer.h"
#include "common/net/uv_handle.h"

namespace hm::net {

namespace {

constexpr size_t kMaxAddresses = 32;  // more than any deadline allows to try

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
  // Frees itself in its callback; the asker may be gone by then.
  struct Resolve {
    uv_getaddrinfo_t raw{};
    Attempt* asker = nullptr;
  };

  Dialer& dialer;
  Callback callback;
  Timer deadline;
  Timer soon;  // tells a failure that is known already, from the loop
  Error known_failure;
  Target target;                         // what the connection is to reach
  const UpstreamProxy* proxy = nullptr;  // through this one
  uint16_t resolved_port = 0;
  Resolve* resolving = nullptr;
  std::unique_ptr<ConnectRace> race;
  std::unique_ptr<ProxyHandshake> handshake;

  Attempt(Dialer& the_dialer, Callback the_callback)
      : dialer(the_dialer),
        callback(std::move(the_callback)),
        deadline(dialer.loop_,
                 [this] { finish(fail(Code::timeout, "dialer.deadline", ETIMEDOUT)); }),
        soon(dialer.loop_, [this] { finish(std::unexpected(known_failure)); }) {}

  ~Attempt() {
    if (resolving == nullptr) return;
    resolving->asker = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&resolving->raw));
  }

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
        !bypasses_proxy(options, target.host))
      proxy = &*options.proxy;
    if (proxy != nullptr)
      resolve(without_brackets(proxy->host), proxy->port);
    else
      resolve(target.host, target.port);
  }

  void resolve(const std::string& host, uint16_t port) {
    if (const auto literal = parse_address(host, port)) return connect({*literal});
    resolved_port = port;
    auto request = std::make_unique<Resolve>();
    request->asker = this;
    request->raw.data = request.get();
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    const int status = uv_getaddrinfo(dialer.loop_.raw(), &request->raw, on_resolved, host.c_str(),
                                      nullptr, &hints);
    if (status != 0) return fail_soon({Code::not_found, "dialer.resolve", 0});
    resolving = request.release();
  }

  static void on_resolved(uv_getaddrinfo_t* raw, int status, addrinfo* list) {
    const std::unique_ptr<Resolve> request(static_cast<Resolve*>(raw->data));
    const std::unique_ptr<addrinfo, decltype(&uv_freeaddrinfo)> owned(list, uv_freeaddrinfo);
    Attempt* self = request->asker;
    if (self == nullptr) return;
    self->resolving = nullptr;
    std::vector<SocketAddress> addresses;
    for (const addrinfo* at = list; status == 0 && at != nullptr; at = at->ai_next) {
      if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
      if (addresses.size() == kMaxAddresses) break;
      SocketAddress& address = addresses.emplace_back();
      std::copy_n(reinterpret_cast<const char*>(at->ai_addr), at->ai_addrlen,
                  reinterpret_cast<char*>(&address.storage));
      address.set_port(self->resolved_port);
    }
    if (addresses.empty()) {
      const bool memory = status == UV_EAI_MEMORY;
      return self->finish(fail(memory ? Code::exhausted : Code::not_found, "dialer.resolve"));
    }
    self->connect(interleave(addresses));
  }

  void connect(std::vector<SocketAddress> addresses) {
    race = std::make_unique<ConnectRace>(
        dialer.loop_, std::move(addresses),
        [this](Result<TcpSocket> result) { on_connected(std::move(result)); });
  }

  void on_connected(Result<TcpSocket> result) {
    if (!result || proxy == nullptr) return finish(std::move(result));
    handshake = std::make_unique<ProxyHandshake>(
        std::move(*result), target.host, target.port, proxy->basic_auth,
        [this](Result<TcpSocket> answer) { finish(std::move(answer)); });
  }

  // This object is gone when the owner is told: the owner may dial again, or destroy the Dialer.
  void finish(Result<TcpSocket> result) {
    const Callback tell = std::move(callback);
    dialer.attempt_.reset();
    tell(std::move(result));
  }
};

Dialer::Dialer(Loop& loop, const DialOptions& options) : loop_(loop), options_(options) {}

Dialer::~Dialer() = default;

void Dialer::dial(std::string host, uint16_t port, Callback callback) {
  attempt_ = std::make_unique<Attempt>(*this, std::move(callback));
  attempt_->deadline.start_once(options_.timeout_ms);
  attempt_->start({without_brackets(host), port});
}

void Dialer::dial_local(uint16_t port, int64_t timeout_ms, Callback callback) {
  attempt_ = std::make_unique<Attempt>(*this, std::move(callback));
  attempt_->deadline.start_once(timeout_ms);
  attempt_->connect({*parse_address("127.0.0.1", port)});
}

void Dialer::cancel() {
  attempt_.reset();
}

}  // namespace hm::net
