#include "interceptor/store/health.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/base/clock.h"
#include "interceptor/store/read_only.h"
#include "interceptor/store/schema.h"
#include "interceptor/store/sqlite_error.h"
#include "interceptor/store/timestamp.h"

namespace hm::store {
namespace {

constexpr int kBusyMs = 1'000;
constexpr int64_t kDayUs = int64_t{86'400} * 1'000'000;

}  // namespace

Result<DatabaseHealth> database_health(const std::filesystem::path& database, int64_t now_us) {
  const auto size = size_of_database(database, "store.health");
  if (!size) return std::unexpected(size.error());
  try {
    SQLite::Database db(database.string(), SQLite::OPEN_READONLY, kBusyMs);
    if (db.execAndGet("PRAGMA application_id").getInt64() != kApplicationId)
      return fail(Code::malformed, "store.health");
    DatabaseHealth health;
    health.bytes = static_cast<int64_t>(*size);
    health.wal = db.execAndGet("PRAGMA journal_mode").getString() == "wal";
    const std::string verdict = db.execAndGet("PRAGMA quick_check(1)").getString();
    if (verdict != "ok") health.problem = verdict;
    health.rows = db.execAndGet("SELECT count(*) FROM requests").getInt64();
    const std::string newest =
        db.execAndGet("SELECT ifnull(max(requested_at), '') FROM requests").getString();
    health.newest_us = parse_timestamp(newest).value_or(0);
    SQLite::Statement streams(
        db,
        "SELECT count(*), ifnull(sum(ttfb_us * 10 > duration_us * 9), 0) FROM "
        "requests WHERE requested_at >= ? AND stream = 1 AND status = "
        "'success' AND duration_us > 2000000");
    streams.bind(1, iso8601_utc(now_us - kDayUs));
    if (streams.executeStep()) {
      health.long_streams = streams.getColumn(0).getInt64();
      health.held_streams = streams.getColumn(1).getInt64();
    }
    return health;
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(from_sqlite(exception, "store.health"));
  }
}

}  // namespace hm::store
