// Random UUIDs, version 4 (RFC 9562 5.4), from the system's random source.
#pragma once

#include <string>

namespace hm::meter {

[[nodiscard]] std::string random_uuid();

}  // namespace hm::meter
