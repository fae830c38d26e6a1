// Reads back what iso8601_utc() wrote.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hm::store {

// "2026-11-15T09:30:00.123456Z" and shorter fractions, or none.
[[nodiscard]] std::optional<int64_t> parse_timestamp(std::string_view text);

}  // namespace hm::store
