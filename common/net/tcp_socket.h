// A TCP connection that nobody reads yet: what a listener accepts and a dialer returns. Move-only;
// destroying it closes the connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

struct uv_tcp_s;  // NOLINT(readability-identifier-naming): libuv's name

namespace hm::net {

struct Endpoint {
  std::string address;  // numeric, no brackets
  uint16_t port = 0;
};

class TcpSocket {
 public:
  TcpSocket() = default;
  explicit TcpSocket(uv_tcp_s* handle) : handle_(handle) {}
  TcpSocket(TcpSocket&& other) noexcept : handle_(other.release()) {}
  TcpSocket& operator=(TcpSocket&& other) noexcept;
  ~TcpSocket();

  [[nodiscard]] explicit operator bool() const { return handle_ != nullptr; }
  [[nodiscard]] Endpoint local() const;
  [[nodiscard]] Endpoint peer() const;
  uv_tcp_s* release();  // common/net only
  [[nodiscard]] uv_tcp_s* handle() const { return handle_; }

 private:
  uv_tcp_s* handle_ = nullptr;  // heap, initialised, TCP_NODELAY on
};

// Which user owns the other end of a loopback connection: one sock_diag(7) lookup of the kernel, no
// privilege needed, some microseconds. Empty when the kernel does not say.
[[nodiscard]] std::optional<uint32_t> peer_uid(const TcpSocket& accepted);

}  // namespace hm::net
