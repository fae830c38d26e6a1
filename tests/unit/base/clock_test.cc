#include "common/base/clock.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

namespace hm {

TEST_CASE("times as ISO 8601 in UTC") {
  const auto [wall_us, text] = GENERATE(table<int64_t, std::string>({
      {0, "1970-01-01T00:00:00.000000Z"},
      {1, "1970-01-01T00:00:00.000001Z"},
      {-1, "1969-12-31T23:59:59.999999Z"},
      {951'782'400'000'000, "2000-02-29T00:00:00.000000Z"},
      {1'794'744'000'000'000, "2026-11-15T12:00:00.000000Z"},
      {1'798'761'599'123'456, "2026-12-31T23:59:59.123456Z"},
      {1'709'251'199'999'999, "2024-02-29T23:59:59.999999Z"},
      {4'107'542'400'000'000, "2100-03-01T00:00:00.000000Z"},
      {253'402'300'799'999'999, "9999-12-31T23:59:59.999999Z"},
      {253'402'300'800'000'000, "10000-01-01T00:00:00.000000Z"},
      {std::numeric_limits<int64_t>::max(), "294247-01-10T04:00:54.775807Z"},
  }));
  CHECK(iso8601_utc(wall_us) == text);
}

}  // namespace hm
