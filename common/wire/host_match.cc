#include "common/wire/host_match.h"

#include "common/wire/ask.h"
#include "common/wire/connect_head.h"

namespace hm::wire {

const std::vector<std::string>& built_in_hosts() {
  static const std::vector<std::string> hosts{
#define HM_PROVIDER(name, host) host,
#include "common/wire/providers.inc"
#undef HM_PROVIDER
  };
  return hosts;
}

HostTable::HostTable() {
  for (const std::string& host : built_in_hosts()) hosts_.emplace(host, uint16_t{443});
  hosts_.emplace(kSelfTestHost, uint16_t{443});
}

bool HostTable::add(std::string_view authority) {
  auto parsed = parse_authority(authority);
  if (!parsed) return false;
  hosts_.emplace(std::move(parsed->host), parsed->port.value_or(443));
  return true;
}

bool HostTable::contains(std::string_view host, uint16_t port) const {
  return hosts_.contains({std::string(host), port});
}

std::vector<std::string> HostTable::names() const {
  std::set<std::string> names;
  for (const auto& [host, port] : hosts_) names.insert(host);
  return {names.begin(), names.end()};
}

}  // namespace hm::wire
