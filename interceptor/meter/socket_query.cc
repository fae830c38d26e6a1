#include "interceptor/meter/socket_query.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace hm::meter {

std::string query_value(std::string_view target, std::string_view name) {
  const size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {};
  std::string_view query = target.substr(mark + 1);
  query = query.substr(0, query.find('#'));
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.size() <= name.size() || !pair.starts_with(name) || pair[name.size()] != '=') continue;
    pair.remove_prefix(name.size() + 1);
    std::string value;
    for (size_t i = 0; i < pair.size(); ++i) {
      uint8_t byte = 0;
      if (pair[i] == '%' && i + 2 < pair.size()) {
        const char* digits = pair.data() + i + 1;
        if (std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
          value.push_back(static_cast<char>(byte));
          i += 2;
          continue;
        }
      }
      value.push_back(pair[i]);
    }
    return value;
  }
  return {};
}

}  // namespace hm::meter
