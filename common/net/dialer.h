// Opens one TCP connection to a name: resolves on the pool, tries the addresses the way RFC 8305
// (happy eyeballs) says, optionally through an upstream HTTP proxy (CONNECT), all under one
// deadline. Destroying the Dialer cancels the attempt. One dial at a time.
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
};

// Is this host exempt from the upstream proxy? Loopback names and addresses always are. Pure.
[[nodiscard]] bool bypasses_proxy(const DialOptions& options, std::string_view host);

class Dialer {
 public:
  // The callback is called once, from the loop, never inside dial(). It may destroy the Dialer.
  using Callback = std::function<void(Result<TcpSocket>)>;

  Dialer(Loop& loop, const DialOptions& options);  // options must outlive the Dialer
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  void dial(std::string host, uint16_t port, Callback callback);
  // A plain connection to an address of this machine, without DNS, proxy or connect_to.
  void dial_local(uint16_t port, int64_t timeout_ms, Callback callback);
  void cancel();

 private:
  struct Attempt;
  Loop& loop_;
  const DialOptions& options_;
  std::unique_ptr<Attempt> attempt_;
};

}  // namespace hm::net
