// Tables of the database and the way to them: numbered migrations, additive only, each recorded in
// `_migrations`. Users query these tables with their own SQL, so names stay.
#pragma once

#include <cstdint>
#include <span>

namespace hm::store {

struct Migration {
  int64_t version;
  const char* name;
  const char* sql;
};

inline constexpr int64_t kSchemaVersion = 4;
inline constexpr int64_t kApplicationId = 0x484d5472;  // "HMTr": this file is ours

[[nodiscard]] std::span<const Migration> migrations();  // ordered, versions 1, 2, ...

}  // namespace hm::store
