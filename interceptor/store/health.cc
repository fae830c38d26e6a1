#include "interceptor/store/health.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <system_error>

#include "interceptor/store/schema.h"
#include "interceptor/store/sqlite_error.h"

namespace hm::store {
namespace {

constexpr int kBusyMs = 1'000;

}  // namespace

Result<DatabaseHealth> database_health(const std::filesystem::path& database) {
  std::error_code error;
  const auto size = std::filesystem::file_size(database, error);
  if (error || size == 0) return fail(Code::not_found, "store.health");
  try {
    SQLite::Database db(database.string(), SQLite::OPEN_READONLY, kBusyMs);
    if (db.execAndGet("PRAGMA application_id").getInt64() != kApplicationId)
      return fail(Code::malformed, "store.health");
    DatabaseHealth health;
    health.bytes = static_cast<int64_t>(size);
    health.wal = db.execAndGet("PRAGMA journal_mode").getString() == "wal";
    const std::string verdict = db.execAndGet("PRAGMA quick_check(1)").getString();
    if (verdict != "ok") health.problem = verdict;
    health.rows = db.execAndGet("SELECT count(*) FROM requests").getInt64();
    return health;
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(from_sqlite(exception, "store.health"));
  }
}

}  // namespace hm::store
