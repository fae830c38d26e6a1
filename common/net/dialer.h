// Opens one TCP connection to a name: resolves on threads of its own, tries the addresses the way
// RFC 8305 (happy eyeballs) says, optionally through an upstream HTTP proxy (CONNECT), all under
// one deadline. Destroying the Dialer cancels the attempt. One dial at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/net/tcp_socket.h"

namespace hm::net {

class Loop;

struct UpstreamProxy {
  std::string host;
  uint16_t port = 0;
  std::string basic_auth;  // base64 of user:password, empty without; a secret, never logged
};

struct DialOptions {
  // "host:port" -> "address:port", as curl's --connect-to. The origin's name stays what it was.
  std::map<std::string, std::string, std::less<>> connect_to;
  std::optional<UpstreamProxy> proxy;
  std::vector<std::string> no_proxy;  // host, .suffix, *, address; loopback never goes to a proxy
  int64_t timeout_ms = 10'000;
  // The ports on which we listen ourselves. An address of this machine with one of them is never
  // dialled, however it was spelled (permission at "dialer.own_port"); as an upstream proxy it is
  // passed over, since it would lead in a circle.
  std::function<bool(uint16_t port)> is_own_port;
  // Out of descriptors: try again until the deadline, or tell at once (exhausted)?
  bool wait_for_descriptors = false;
};

// Did the upstream proxy say no? Its HTTP status, else 0.
[[nodiscard]] int proxy_status(const Error& error);
// Was it one of our own ports?
[[nodiscard]] bool is_own_port(const Error& error);

// Is this host exempt from the upstream proxy? Loopback names and addresses always are. Pure.
[[nodiscard]] bool bypasses_proxy(const DialOptions& options, std::string_view host);

// localhost and names below it: this machine, without asking anybody (RFC 6761, section 6.3).
[[nodiscard]] bool local_name(std::string_view host);

class Dialer {
 public:
  // The callback is called once, from the loop, never inside dial(). It may destroy the Dialer.
  using Callback = std::function<void(Result<TcpSocket>)>;

  // The options must outlive the Dialer; a dial takes them as they are when it begins.
  Dialer(Loop& loop, const DialOptions& options);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // Within options.timeout_ms, or `limit_ms`.
  void dial(const std::string& host, uint16_t port, Callback callback, int64_t limit_ms = 0);
  // For a plain HTTP request: an upstream proxy is reached, and not asked for a tunnel (many allow
  // port 443 alone). plain_proxy() is then the proxy that expects the request in absolute form.
  void dial_for_request(const std::string& host, uint16_t port, Callback callback);
  [[nodiscard]] const UpstreamProxy* plain_proxy() const {
    return plain_proxy_ ? &*plain_proxy_ : nullptr;
  }
  // A plain connection to an address of this machine, without DNS, proxy or connect_to.
  void dial_local(uint16_t port, int64_t timeout_ms, Callback callback);
  void cancel();

 private:
  struct Attempt;
  Loop& loop_;
  const DialOptions& options_;
  std::unique_ptr<Attempt> attempt_;
  std::optional<UpstreamProxy> plain_proxy_;
};

}  // namespace hm::net
