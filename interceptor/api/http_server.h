// The listener of the API and its table of connections. Everything on the API's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "common/base/result.h"
#include "common/net/tcp_listener.h"
#include "interceptor/api/api_thread.h"
#include "interceptor/api/http_connection.h"

namespace hm::net {
class Loop;
}

namespace hm::api {

class Routes;

class HttpServer final : public HttpConnection::Owner {
 public:
  static constexpr size_t kMaxConnections = 64;  // one more is closed: "api.connections_refused"
  static constexpr int kPortAttempts = 20;

  HttpServer(net::Loop& loop, const Routes& routes);  // both outlive it

  // 127.0.0.1, and the same port of ::1 if that can be had. Returns the port.
  // `kept_*`: sockets that listen already, or -1; owned.
  [[nodiscard]] Result<uint16_t> listen(uint16_t port, int kept_v4 = -1, int kept_v6 = -1);
  [[nodiscard]] ApiDoors doors() const;
  void close_doors();

  void on_connection_end(HttpConnection& connection) override;

 private:
  void accept(net::TcpSocket socket);

  net::Loop& loop_;
  const Routes& routes_;
  std::unordered_map<HttpConnection*, std::unique_ptr<HttpConnection>> connections_;
  net::TcpListener v4_;
  net::TcpListener v6_;
};

}  // namespace hm::api
