// Which hosts are metered. Exact names, compared without case; a provider's host counts on port
// 443, a configured one on the port it names (443 when it names none). Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hm::wire {

// The host column of providers.inc.
[[nodiscard]] const std::vector<std::string>& built_in_hosts();

class HostTable {
 public:
  HostTable();  // the built-in hosts and the name of the self-test (ask.h)

  // "host" or "host:port". False when it is no host.
  bool add(std::string_view authority);

  // `host` in lower case, as ConnectHead gives it.
  [[nodiscard]] bool contains(std::string_view host, uint16_t port) const;
  [[nodiscard]] std::vector<std::string> names() const;  // hosts without ports, sorted, once each

 private:
  std::set<std::pair<std::string, uint16_t>> hosts_;
};

}  // namespace hm::wire
