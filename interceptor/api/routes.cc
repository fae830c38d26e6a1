#include "interceptor/api/routes.h"

#include <algorithm>
#include <array>
#include <optional>

#include "interceptor/api/access.h"
#include "interceptor/api/json_out.h"

namespace hm::api {
namespace {

struct Route {
  std::string_view pattern;  // {} stands for one segment that is not empty
  ApiResponse (*handler)(const ApiRequest&, const ApiContext&);
};

// All are GET; HEAD and OPTIONS come with it.
constexpr std::array kRoutes{
    Route{"/health", get_health},
};

constexpr const char* kMethods = "GET, HEAD, OPTIONS";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view next_segment(std::string_view& path) {
  const size_t slash = path.find('/');
  const std::string_view segment = path.substr(0, slash);
  path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  return segment;
}

std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view path) {
  if (std::ranges::count(pattern, '/') != std::ranges::count(path, '/')) return std::nullopt;
  std::vector<std::string> params;
  while (!pattern.empty() || !path.empty()) {
    const std::string_view expected = next_segment(pattern);
    const std::string_view segment = next_segment(path);
    if (expected == "{}") {
      if (segment.empty()) return std::nullopt;
      params.push_back(percent_decoded(segment));
    } else if (expected != segment) {
      return std::nullopt;
    }
  }
  return params;
}

size_t count_of(const http::RequestHead& head, std::string_view name) {
  return static_cast<size_t>(std::ranges::count(head.headers, name, &http::Header::name));
}

// Goes back into a head of ours: nothing but what a list of field names is made of.
bool is_name_list(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == ',' || c == ' ';
  });
}

}  // namespace

ApiResponse refusal(int status, std::string_view detail) {
  ApiResponse response;
  response.status = status;
  JsonOut json;
  json.begin_object().key("detail").text(detail).end_object();
  response.body = json.take();
  return response;
}

ApiResponse Routes::answer(const http::RequestHead& head) const {
  const std::string_view host = head.header("host");
  if (count_of(head, "host") != 1 || !is_loopback_host(host)) {
    return refusal(403, "this host name is not served");
  }
  const bool has_origin = count_of(head, "origin") > 0;
  const std::string_view origin = head.header("origin");
  if (has_origin && !is_allowed_origin(origin, host, allow_origins_)) {
    return refusal(403, "this origin is not in cors.allow_origins");
  }

  ApiResponse response = find(head);
  // On every answer, refusals too: without it a browser makes a network error of a 404.
  if (has_origin) response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  response.headers.emplace_back("Vary", "Origin");
  return response;
}

ApiResponse Routes::find(const http::RequestHead& head) const {
  const std::string_view target = head.target;
  if (!target.starts_with('/')) return refusal(400, "only paths are served");
  const size_t question = target.find('?');
  ApiRequest request;
  request.path = target.substr(0, question);
  if (question != std::string_view::npos) request.query = target.substr(question + 1);

  for (const Route& route : kRoutes) {
    auto params = match(route.pattern, request.path);
    if (!params) continue;
    request.params = std::move(*params);
    if (head.method == "GET" || head.method == "HEAD") return route.handler(request, context_);
    if (head.method == "OPTIONS") {
      ApiResponse response;
      response.status = 204;
      response.content_type.clear();
      response.headers.emplace_back("Access-Control-Allow-Methods", kMethods);
      const std::string_view asked = head.header("access-control-request-headers");
      if (!asked.empty() && is_name_list(asked)) {
        response.headers.emplace_back("Access-Control-Allow-Headers", asked);
      }
      return response;
    }
    ApiResponse response = refusal(405, "only GET is served");
    response.headers.emplace_back("Allow", kMethods);
    return response;
  }
  return refusal(404, "no such path");
}

std::string percent_decoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      result += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace hm::api
