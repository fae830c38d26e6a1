#include "interceptor/api/access.h"

#include <algorithm>

namespace hm::api {
namespace {

bool is_port(std::string_view text) {
  return text.size() <= 5 && !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool equal_nocase(std::string_view a, std::string_view b) {  // `b` in lower case
  return std::ranges::equal(a, b, [](char x, char y) {
    return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
  });
}

}  // namespace

bool is_loopback_host(std::string_view host_field) {
  for (const std::string_view name : {"localhost", "127.0.0.1", "[::1]"}) {
    if (host_field.size() < name.size()) continue;
    if (!equal_nocase(host_field.substr(0, name.size()), name)) continue;
    const std::string_view rest = host_field.substr(name.size());
    if (rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)))) return true;
  }
  return false;
}

bool is_allowed_origin(std::string_view origin, std::string_view host_field,
                       const std::vector<std::string>& allow_origins) {
  if (origin == "http://" + std::string(host_field)) return true;
  return std::ranges::find(allow_origins, origin) != allow_origins.end();
}

}  // namespace hm::api
