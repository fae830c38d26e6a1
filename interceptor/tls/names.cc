#include "interceptor/tls/names.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace hm::tls {

std::string plain_host(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string out(host);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

std::vector<uint8_t> ip_bytes(const std::string& host) {
  std::array<uint8_t, 16> address{};
  if (inet_pton(AF_INET, host.c_str(), address.data()) == 1)
    return {address.begin(), address.begin() + 4};
  if (inet_pton(AF_INET6, host.c_str(), address.data()) == 1)
    return {address.begin(), address.end()};
  return {};
}

bool is_ip_literal(const std::string& host) {
  return !ip_bytes(host).empty();
}

std::string canonical_ip(const std::string& literal) {
  const std::vector<uint8_t> address = ip_bytes(literal);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.empty() || inet_ntop(address.size() == 4 ? AF_INET : AF_INET6, address.data(),
                                   text.data(), text.size()) == nullptr)
    return literal;
  return text.data();
}

bool is_dns_name(const std::string& host) {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.back() == '.') return false;
  if (host.find("..") != std::string::npos || is_ip_literal(host)) return false;
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace hm::tls
