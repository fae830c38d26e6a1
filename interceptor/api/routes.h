// From a request's head to its answer: checks who asks, finds the route, adds what browsers need.
#pragma once

#include <string>
#include <vector>

#include "interceptor/api/handlers.h"
#include "interceptor/http/exchange.h"

namespace hm::api {

class Routes {
 public:
  Routes(const ApiContext& context, std::vector<std::string> allow_origins)
      : context_(context), allow_origins_(std::move(allow_origins)) {}  // the context outlives it

  void set_allow_origins(std::vector<std::string> origins) { allow_origins_ = std::move(origins); }

  [[nodiscard]] ApiResponse answer(const http::RequestHead& head) const;

 private:
  [[nodiscard]] ApiResponse find(const http::RequestHead& head) const;

  const ApiContext& context_;
  std::vector<std::string> allow_origins_;
};

// "%20" to a blank; a percent sign without two hex digits stands for itself.
[[nodiscard]] std::string percent_decoded(std::string_view text);

}  // namespace hm::api
