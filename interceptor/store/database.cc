#include "interceptor/store/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "interceptor/store/read_only.h"
#include "interceptor/store/schema.h"
#include "interceptor/store/sqlite_error.h"
#include "interceptor/store/sqlite_setup.h"

namespace hm::store {
namespace {

constexpr uintmax_t kMostToCheck = 64 * 1024 * 1024;

// So that the file, and the -wal that inherits its mode, is nobody else's from the first byte on.
// An existing file is not opened: closing it again would drop the locks that other connections of
// this process hold on it.
Result<void> make_private(const std::filesystem::path& path) {
  if (auto folder = ensure_dir(path.parent_path()); !folder) return folder;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    const int error = errno;
    if (error == EEXIST) return {};
    return fail(error == ENOSPC || error == EDQUOT ? Code::exhausted : Code::permission,
                "store.open", error);
  }
  ::close(fd);
  return {};
}

bool is_somebody_elses(SQLite::Database& db) {
  const int64_t id = db.execAndGet("PRAGMA application_id").getInt64();
  if (id == kApplicationId) return false;
  return id != 0 || db.execAndGet("SELECT count(*) FROM sqlite_master").getInt64() > 0;
}

// Damage in the middle of the file shows itself only to whoever reads there: a report, months
// later. Small files are read through when they are opened. Throws SQLITE_CORRUPT; what a row says
// is not judged, only whether the pages are sound.
void check_pages(SQLite::Database& db, const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error || size == 0 || size > kMostToCheck) return;
  SQLite::Statement check(db, "PRAGMA quick_check(1)");
  if (!check.executeStep()) return;
  const std::string verdict = check.getColumn(0).getString();
  for (const char* damage : {"***", "Tree", "Page", "Freelist", "database disk image"}) {
    if (verdict.starts_with(damage)) throw SQLite::Exception(verdict, SQLITE_CORRUPT);
  }
}

void migrate(SQLite::Database& db, const Clock& clock) {
  db.exec(
      "CREATE TABLE IF NOT EXISTS _migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
      "applied_at TEXT NOT NULL) STRICT");
  const int64_t have =
      db.execAndGet("SELECT coalesce(max(version), 0) FROM _migrations").getInt64();
  for (const Migration& migration : migrations()) {
    if (migration.version <= have) continue;
    db.exec(migration.sql);
    SQLite::Statement done(db,
                           "INSERT INTO _migrations (version, name, applied_at) VALUES (?, ?, ?)");
    done.bind(1, migration.version);
    done.bind(2, migration.name);
    done.bind(3, iso8601_utc(clock.wall_us()));
    done.exec();
  }
  if (have > kSchemaVersion)
    log::warn("store.newer_schema").with("have", have).with("known", kSchemaVersion);
}

// Throws. Null: this is a database, and not one of ours.
std::unique_ptr<SQLite::Database> try_open(const std::filesystem::path& path,
                                           std::chrono::milliseconds busy_timeout,
                                           const Clock& clock) {
  set_up_sqlite();
  // One thread uses it: no mutex around every value that is bound.
  auto db = std::make_unique<SQLite::Database>(
      path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX,
      static_cast<int>(busy_timeout.count()));
  if (is_somebody_elses(*db)) return nullptr;
  check_pages(*db, path);
  // Before the first table: afterwards nobody could be reading in another mode.
  db->exec("PRAGMA journal_mode = WAL");
  db->exec("PRAGMA synchronous = NORMAL");
  // What a row refers to is written with it, in the same transaction; RowWriter sees to projects.
  db->exec("PRAGMA foreign_keys = OFF");
  db->exec("PRAGMA journal_size_limit = 16777216");
  // Pages that many batches change go into the file once for all of them.
  db->exec("PRAGMA wal_autocheckpoint = 4000");
  // Rows come at the ends of their tables: half of SQLite's own limit is enough for a busy writer.
  db->exec("PRAGMA cache_size = -1024");
  SQLite::Transaction transaction(*db, SQLite::TransactionBehavior::IMMEDIATE);
  db->exec("PRAGMA application_id = " + std::to_string(kApplicationId));
  migrate(*db, clock);
  transaction.commit();
  return db;
}

int64_t schema_of(SQLite::Database& db) {
  if (!db.tableExists("_migrations")) return 0;
  return db.execAndGet("SELECT coalesce(max(version), 0) FROM _migrations").getInt64();
}

}  // namespace

Result<std::unique_ptr<SQLite::Database>> open_second_writer(const std::filesystem::path& path,
                                                             std::chrono::milliseconds busy_timeout,
                                                             const Clock& clock) {
  if (const auto size = size_of_database(path, "store.open_second"); !size)
    return std::unexpected(size.error());
  set_up_sqlite();
  try {
    auto db = std::make_unique<SQLite::Database>(path.string(), SQLite::OPEN_READWRITE,
                                                 static_cast<int>(busy_timeout.count()));
    if (db->execAndGet("PRAGMA application_id").getInt64() != kApplicationId)
      return fail(Code::malformed, "store.open_second");
    db->exec("PRAGMA synchronous = NORMAL");
    db->exec("PRAGMA foreign_keys = ON");
    if (schema_of(*db) > kSchemaVersion) return fail(Code::refused, "store.open_second");
    if (schema_of(*db) < kSchemaVersion) {
      SQLite::Transaction transaction(*db, SQLite::TransactionBehavior::IMMEDIATE);
      migrate(*db, clock);
      transaction.commit();
    }
    return db;
  } catch (const SQLite::Exception& exception) {
    return std::unexpected(from_sqlite(exception, "store.open_second"));
  }
}

FileIdentity identity_of(const std::filesystem::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_dev, info.st_ino};
}

Result<std::filesystem::path> move_aside(const std::filesystem::path& path, const char* word,
                                         const Clock& clock) {
  std::string date = iso8601_utc(clock.wall_us()).substr(0, 19);  // 2026-11-15T09:30:00
  std::erase(date, ':');
  std::error_code error;
  std::filesystem::path target = path.string() + "." + word + "-" + date;
  for (int i = 1; std::filesystem::exists(target, error); ++i)
    target = path.string() + "." + word + "-" + date + "." + std::to_string(i);
  std::filesystem::rename(path, target, error);
  if (error) return fail(Code::system, "store.move_aside", error.value());
  // Together with the main file they can still be read by hand. A new database must not find them.
  for (const char* part : {"-wal", "-shm"}) {
    std::filesystem::rename(path.string() + part, target.string() + part, error);
    if (error && error != std::errc::no_such_file_or_directory)
      return fail(Code::system, "store.move_aside", error.value());
  }
  log::error("store.moved_aside")
      .with("file", path.string())
      .with("to", target.string())
      .with("why", word)
      .with("next", "a new database was begun; the old one is kept, see `sqlite3 FILE .recover`");
  return target;
}

Result<OpenedDatabase> open_database(const std::filesystem::path& path,
                                     std::chrono::milliseconds busy_timeout, const Clock& clock) {
  OpenedDatabase opened;
  for (int attempt = 0;; ++attempt) {
    if (auto made = make_private(path); !made) return std::unexpected(made.error());
    const auto seen = identity_of(path);
    const char* word = "other";
    try {
      opened.db = try_open(path, busy_timeout, clock);
      if (opened.db != nullptr) return opened;
    } catch (const SQLite::Exception& exception) {
      const Error error = from_sqlite(exception, "store.open");
      if (error.code != Code::malformed) return std::unexpected(error);
      word = "corrupt";
    }
    if (attempt > 1) return fail(Code::malformed, "store.open");
    if (identity_of(path) != seen) continue;  // another process has just done it
    auto moved = move_aside(path, word, clock);
    if (!moved) return std::unexpected(moved.error());
    opened.moved_to = std::move(*moved);
  }
}

}  // namespace hm::store
