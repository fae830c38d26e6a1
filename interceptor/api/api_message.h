// One request to the API and its answer, as the handlers see them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hm::api {

struct ApiRequest {
  std::string_view path;            // as sent, without the query
  std::string_view query;           // as sent, without the question mark
  std::vector<std::string> params;  // what the {} segments of the route matched, percent-decoded
};

struct ApiResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // further ones
};

// {"detail": text}, the form of every refusal.
[[nodiscard]] ApiResponse refusal(int status, std::string_view detail);

}  // namespace hm::api
