#include "interceptor/store/bodies.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/base/clock.h"
#include "interceptor/store/read_only.h"
#include "interceptor/store/schema.h"
#include "interceptor/store/sqlite_error.h"
#include "interceptor/store/timestamp.h"

namespace hm::store {
namespace {

constexpr int kBusyMs = 5'000;
constexpr int64_t kBatch = 200;  // rows per transaction: the writer waits for one of them at most

template <class Job>
auto with_database(const std::filesystem::path& file, int flags, const char* where, Job job)
    -> Result<decltype(job(std::declval<SQLite::Database&>()))> {
  if (const auto size = size_of_database(file, where); !size) return std::unexpected(size.error());
  try {
    SQLite::Database db(file.string(), flags, kBusyMs);
    if (db.execAndGet("PRAGMA application_id").getInt64() != kApplicationId)
      return fail(Code::malformed, where);
    return job(db);
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(from_sqlite(exception, where));
  }
}

std::optional<int64_t> time_of(const SQLite::Column& column) {
  if (column.isNull()) return std::nullopt;
  return parse_timestamp(column.getString());
}

}  // namespace

Result<BodyStats> body_stats(const std::filesystem::path& database) {
  return with_database(
      database, SQLite::OPEN_READONLY, "store.body_stats", [](SQLite::Database& db) {
        BodyStats stats;
        SQLite::Transaction snapshot(db);
        SQLite::Statement row(
            db,
            "SELECT p.slug, b.direction, count(*), coalesce(sum(length(b.body)), 0), "
            "coalesce(sum(b.original_bytes), 0), coalesce(sum(b.truncated <> 0), 0), "
            "coalesce(sum(b.redactions), 0) FROM request_bodies b "
            "JOIN requests r ON r.id = b.request_id JOIN projects p ON p.id = r.project_id "
            "GROUP BY 1, 2 ORDER BY 1, 2");
        while (row.executeStep()) {
          BodyCount& group = stats.groups.emplace_back();
          group.project = row.getColumn(0).getString();
          group.direction = row.getColumn(1).getString();
          int at = 2;
          for (int64_t* figure : {&group.count, &group.bytes, &group.original_bytes,
                                  &group.truncated, &group.redactions})
            *figure = row.getColumn(at++).getInt64();
        }
        SQLite::Statement times(db, "SELECT min(created_at), max(created_at) FROM request_bodies");
        if (times.executeStep()) {
          stats.oldest_us = time_of(times.getColumn(0));
          stats.newest_us = time_of(times.getColumn(1));
        }
        const int64_t page = db.execAndGet("PRAGMA page_size").getInt64();
        stats.database_bytes = page * db.execAndGet("PRAGMA page_count").getInt64();
        stats.free_bytes = page * db.execAndGet("PRAGMA freelist_count").getInt64();
        return stats;
      });
}

Result<PurgedBodies> purge_bodies(const std::filesystem::path& database,
                                  std::optional<int64_t> before_us, bool dry_run) {
  const std::string condition = before_us ? " WHERE created_at < ?" : "";
  const int flags = dry_run ? SQLite::OPEN_READONLY : SQLite::OPEN_READWRITE;
  return with_database(database, flags, "store.purge_bodies", [&](SQLite::Database& db) {
    const auto bind = [&](SQLite::Statement& statement) {
      if (before_us) statement.bind(1, iso8601_utc(*before_us));
    };
    PurgedBodies purged;
    SQLite::Statement size(
        db, "SELECT count(*), coalesce(sum(length(body)), 0) FROM request_bodies" + condition);
    bind(size);
    if (size.executeStep()) {
      purged.count = size.getColumn(0).getInt64();
      purged.bytes = size.getColumn(1).getInt64();
    }
    size.reset();
    if (dry_run) return purged;
    SQLite::Statement batch(db,
                            "DELETE FROM request_bodies WHERE rowid IN (SELECT rowid FROM "
                            "request_bodies" +
                                condition + " LIMIT " + std::to_string(kBatch) + ")");
    purged.count = 0;
    while (true) {
      bind(batch);
      const int gone = batch.exec();
      batch.reset();
      if (gone == 0) break;
      purged.count += gone;
    }
    return purged;
  });
}

Result<void> vacuum(const std::filesystem::path& database) {
  const auto done =
      with_database(database, SQLite::OPEN_READWRITE, "store.vacuum", [](SQLite::Database& db) {
        db.exec("VACUUM");
        db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
        return true;
      });
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace hm::store
