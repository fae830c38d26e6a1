#include "interceptor/http/exchange.h"

namespace hm::http {
namespace {

std::string_view find(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

}  // namespace

std::string_view RequestHead::header(std::string_view name) const {
  return find(headers, name);
}
std::string_view ResponseHead::header(std::string_view name) const {
  return find(headers, name);
}

}  // namespace hm::http
