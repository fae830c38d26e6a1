// One function per endpoint. They run on the API's thread and may block it, but nobody else.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "interceptor/api/api_message.h"

namespace hm::api {

class HealthSource;

// What handlers work with; everything referred to outlives the API's thread.
struct ApiContext {
  const HealthSource& health;
  const Clock& clock;
  std::string version;
  int64_t started_us = 0;  // steady
};

[[nodiscard]] ApiResponse get_health(const ApiRequest& request, const ApiContext& context);

}  // namespace hm::api
