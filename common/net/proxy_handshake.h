// Private to common/net: asks an upstream HTTP proxy for a tunnel (RFC 9110, section 9.3.6) on a
// connection that stands. Reads exactly the proxy's answer head and not a byte more: what follows
// belongs to the tunnel, and a server that speaks first may have sent it already. The head is at
// most 8 KiB. No deadline of its own: destroying it ends the attempt and the connection.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/net/tcp_socket.h"
#include "common/net/uv_handle.h"

namespace hm::net {

class ProxyHandshake {
 public:
  static constexpr size_t kMaxHead = 8 * 1024;

  // Called once, from the loop, never in the constructor. May destroy the handshake.
  // refused with the HTTP status as detail when the proxy says no.
  using Callback = std::function<void(Result<TcpSocket>)>;

  ProxyHandshake(TcpSocket proxy, std::string_view host, uint16_t port, std::string_view basic_auth,
                 Callback callback);
  ProxyHandshake(const ProxyHandshake&) = delete;
  ProxyHandshake& operator=(const ProxyHandshake&) = delete;

 private:
  void send(std::string text);
  [[nodiscard]] uv_buf_t next_buffer();
  void on_bytes(ssize_t count);
  void on_head();
  void finish(Result<TcpSocket> result);

  Handle<uv_tcp_t> handle_;
  Callback callback_;
  std::array<char, kMaxHead> head_{};
  size_t filled_ = 0;
};

}  // namespace hm::net
