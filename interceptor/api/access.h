// Who may ask: pages of listed origins and programs of this machine, by a name of this machine.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hm::api {

// localhost, 127.0.0.1 or [::1], with any port or none. Anything else got here by DNS rebinding: a
// name of the attacker's that resolves to loopback.
[[nodiscard]] bool is_loopback_host(std::string_view host_field);

// Listed, or the API's own (`host_field` has passed the check above).
[[nodiscard]] bool is_allowed_origin(std::string_view origin, std::string_view host_field,
                                     const std::vector<std::string>& allow_origins);

}  // namespace hm::api
