// Which hosts go past the upstream proxy: the rules of NO_PROXY as curl reads them.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string>

#include "common/net/dialer.h"
#include "common/net/sockaddr.h"

namespace hm::net {

namespace {

std::string normal(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string result(host);
  std::ranges::transform(result, result.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

std::string_view address_bytes(const SocketAddress& address) {
  if (address.family() == AF_INET)
    return {reinterpret_cast<const char*>(&address.v4().sin_addr), 4};
  return {reinterpret_cast<const char*>(&address.v6().sin6_addr), 16};
}

bool same_prefix(const SocketAddress& a, const SocketAddress& b, size_t bits) {
  if (a.family() != b.family()) return false;
  const std::string_view left = address_bytes(a);
  const std::string_view right = address_bytes(b);
  if (bits > left.size() * 8) return false;
  if (left.substr(0, bits / 8) != right.substr(0, bits / 8)) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - bits % 8));
  return ((static_cast<uint8_t>(left[bits / 8]) ^ static_cast<uint8_t>(right[bits / 8])) & mask) ==
         0;
}

// "10.0.0.7", "10.0.0.0/8", "fd00::/8"
bool matches_address(std::string_view rule, const SocketAddress& host) {
  const size_t slash = rule.find('/');
  const auto parsed = parse_address(rule.substr(0, slash), 0);
  if (!parsed) return false;
  const SocketAddress base = parsed->unmapped();
  size_t bits = address_bytes(base).size() * 8;
  if (slash != std::string_view::npos) {
    const std::string_view digits = rule.substr(slash + 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size()) return false;
  }
  return same_prefix(base, host, bits);
}

bool matches_name(std::string_view rule, std::string_view host) {
  if (rule.starts_with("*.")) rule.remove_prefix(1);
  if (rule.starts_with('.')) rule.remove_prefix(1);
  if (rule.empty()) return false;
  if (host == rule) return true;
  return host.size() > rule.size() && host.ends_with(rule) &&
         host[host.size() - rule.size() - 1] == '.';
}

}  // namespace

bool local_name(std::string_view host) {
  const std::string name = normal(host);
  return name == "localhost" || name.ends_with(".localhost");
}

bool bypasses_proxy(const DialOptions& options, std::string_view host) {
  const std::string name = normal(host);
  std::optional<SocketAddress> address = parse_address(name, 0);
  if (address) {
    address = address->unmapped();
    if (address->this_machine()) return true;
  } else if (local_name(name)) {
    return true;
  }
  return std::ranges::any_of(options.no_proxy, [&](const std::string& entry) {
    if (entry == "*") return true;
    const std::string rule = normal(entry);
    return address ? matches_address(rule, *address) : matches_name(rule, name);
  });
}

}  // namespace hm::net
