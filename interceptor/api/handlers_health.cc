#include <unistd.h>

#include <algorithm>

#include "common/base/counters.h"
#include "interceptor/api/api_thread.h"
#include "interceptor/api/handlers.h"
#include "interceptor/api/json_out.h"

namespace hm::api {
namespace {

constexpr int64_t kStalledAfterUs = 5'000'000;

}  // namespace

ApiResponse get_health(const ApiRequest& /*request*/, const ApiContext& context) {
  const int64_t now = context.clock.steady_us();
  // Before the first heartbeat the relay gets as long as between two.
  const int64_t heartbeat = std::max(context.health.last_relay_heartbeat_us(), context.started_us);
  const int64_t age = std::max<int64_t>(0, now - heartbeat);
  const bool stalled = age > kStalledAfterUs;

  JsonOut json;
  json.begin_object();
  json.key("status").text(stalled ? "stalled" : "ok");
  json.key("version").text(context.version);
  json.key("uptime_s").integer((now - context.started_us) / 1'000'000);
  json.key("pid").integer(getpid());
  json.key("relay_heartbeat_age_ms").integer(age / 1000);
  json.key("counters").begin_object();
  for (const auto& [name, value] : counters::snapshot()) json.key(name).integer(value);
  json.end_object();
  json.end_object();

  ApiResponse response;
  response.status = stalled ? 503 : 200;
  response.body = json.take();
  return response;
}

}  // namespace hm::api
