#include "interceptor/api/http_server.h"

#include <unistd.h>

#include <utility>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/net/loop.h"

namespace hm::api {

HttpServer::HttpServer(net::Loop& loop, const Routes& routes)
    : loop_(loop),
      routes_(routes),
      v4_(loop, [this](net::TcpSocket socket) { accept(std::move(socket)); }),
      v6_(loop, [this](net::TcpSocket socket) { accept(std::move(socket)); }) {}

Result<uint16_t> HttpServer::listen(uint16_t port, int kept_v4, int kept_v6) {
  auto bound = v4_.adopt_or_listen_near(kept_v4, "127.0.0.1", port, kPortAttempts);
  // Names like localhost may mean ::1 first. Without IPv6, clients fall back by themselves.
  if (!bound || !v6_.adopt_or_listen_near(kept_v6, "::1", *bound, 0))
    log::debug("api.no_ipv6").with("port", port);
  return bound;
}

ApiDoors HttpServer::doors() const {
  return {v4_.file_descriptor(), v6_.file_descriptor()};
}

void HttpServer::close_doors() {
  v4_.close();
  v6_.close();
}

void HttpServer::accept(net::TcpSocket socket) {
  if (connections_.size() >= kMaxConnections) {
    static Counter& refused = counters::get("api.connections_refused");
    refused.add();
    return;  // the socket closes here
  }
  // Loopback is shared by everyone on the machine; what is in the database is not.
  const auto uid = net::peer_uid(socket);
  if (!uid || *uid != getuid()) {
    static Counter& foreign = counters::get("api.foreign_peer");
    foreign.add();
    return;
  }
  auto connection = std::make_unique<HttpConnection>(loop_, *this, routes_);
  HttpConnection* raw = connection.get();
  connections_.emplace(raw, std::move(connection));
  raw->start(std::move(socket));
}

void HttpServer::on_connection_end(HttpConnection& connection) {
  const auto found = connections_.find(&connection);
  if (found == connections_.end()) return;
  auto ended = std::move(found->second);
  connections_.erase(found);
  loop_.bury(std::move(ended));
}

}  // namespace hm::api
