#include "interceptor/api/api_thread.h"

#include <future>
#include <optional>
#include <system_error>
#include <utility>

#include "common/base/log.h"
#include "common/net/loop.h"
#include "common/net/timer.h"
#include "interceptor/api/handlers.h"
#include "interceptor/api/http_server.h"
#include "interceptor/api/routes.h"

namespace hm::api {
namespace {

constexpr int64_t kHoldMs = 3'600'000;

}  // namespace

ApiThread::ApiThread(ApiOptions options, const HealthSource& health, const Clock& clock)
    : options_(std::move(options)), health_(health), clock_(clock) {}

ApiThread::~ApiThread() {
  stop();
}

Result<uint16_t> ApiThread::start() {
  std::promise<Result<uint16_t>> promise;
  auto bound = promise.get_future();
  thread_ = std::thread([this, promise = std::move(promise)]() mutable {
    std::optional<net::Loop> loop;
    try {
      loop.emplace();
    } catch (const std::system_error& error) {  // no descriptors left
      promise.set_value(fail(Code::exhausted, "api.loop", error.code().value()));
      return;
    }
    const ApiContext context{health_, clock_, options_.version, clock_.steady_us()};
    Routes routes(context, options_.allow_origins);
    HttpServer server(*loop, routes);
    const auto port = server.listen(options_.port, options_.kept_v4, options_.kept_v6);
    loop_ = &*loop;
    server_ = &server;
    routes_ = &routes;
    doors_ = server.doors();
    // Without its doors the loop would have nothing to wait for: it runs until stop().
    net::Timer hold(*loop, [] {});
    hold.start_repeating(kHoldMs);
    promise.set_value(port);  // start() returns now and owns loop_
    if (port) loop->run();
  });
  const auto port = bound.get();
  if (!port) {
    loop_ = nullptr;
    server_ = nullptr;
    routes_ = nullptr;
    thread_.join();
    return port;
  }
  log::info("api.listening").with("port", *port);
  return port;
}

void ApiThread::close_doors() {
  if (loop_ != nullptr) loop_->post([server = server_] { server->close_doors(); });
}

void ApiThread::set_allow_origins(std::vector<std::string> origins) {
  if (loop_ == nullptr) return;
  loop_->post([routes = routes_, origins = std::move(origins)]() mutable {
    routes->set_allow_origins(std::move(origins));
  });
}

void ApiThread::stop() {
  if (!thread_.joinable()) return;
  loop_->post([loop = loop_] { loop->stop(); });
  thread_.join();
  loop_ = nullptr;
  server_ = nullptr;
  routes_ = nullptr;
}

}  // namespace hm::api
