#include "interceptor/store/checkpointer.h"

#include <sqlite3.h>

#include <catch2/catch.hpp>

#include "interceptor/store/database.h"
#include "tests/unit/store/fixture.h"

namespace hm::store {
namespace {

constexpr uintmax_t kPage = 4096;

uintmax_t size_of(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

struct Growing {
  explicit Growing(CheckpointLimits limits) : checkpointer(path, limits) {
    auto made = open_database(path, milliseconds(100), system_clock());
    REQUIRE(made);
    db = std::move(made->db);
    db->exec("PRAGMA wal_checkpoint(TRUNCATE)");  // the tables are not what is measured
    checkpointer.watch(*db);
  }
  ~Growing() { checkpointer.leave(); }
  Growing(const Growing&) = delete;
  Growing& operator=(const Growing&) = delete;

  void commit_pages(int pages) {
    SQLite::Statement insert(*db, "INSERT INTO _spool (name, read_at) VALUES (?, ?)");
    SQLite::Transaction transaction(*db);
    for (int i = 0; i < pages; ++i) {
      insert.bind(1, ++name);
      insert.bind(2, std::string(kPage - 100, 'x'));
      insert.exec();
      insert.reset();
    }
    transaction.commit();
  }
  [[nodiscard]] uintmax_t wal() const { return size_of(path.string() + "-wal"); }

  TempFolder folder;
  const std::filesystem::path path = folder / "db.sqlite";
  std::unique_ptr<SQLite::Database> db;
  Checkpointer checkpointer;
  int64_t name = 0;
};

}  // namespace

TEST_CASE("pages go into the database without the writer") {
  Growing growing({.pages = 100, .long_wal = 100'000, .longest = 100'000});
  const auto before = size_of(growing.path);
  growing.commit_pages(20);
  growing.checkpointer.leave();
  CHECK(size_of(growing.path) == before);  // not due
  growing.commit_pages(100);
  growing.checkpointer.leave();
  CHECK(size_of(growing.path) >= before + 120 * kPage);
  CHECK(growing.db->execAndGet("SELECT count(*) FROM _spool").getInt64() == 120);
  // Nobody added to it meanwhile: it begins anew, and what is due counts from there.
  const auto long_wal = growing.wal();
  const auto after = size_of(growing.path);
  growing.commit_pages(20);
  growing.checkpointer.leave();
  CHECK(growing.wal() == long_wal);
  CHECK(size_of(growing.path) == after);
}

TEST_CASE("under a writer that never rests the -wal does not grow for ever") {
  Growing growing({.pages = 100, .long_wal = 400, .longest = 800});
  for (int i = 0; i < 400; ++i) growing.commit_pages(25);
  // 10,000 pages went through it.
  CHECK(growing.wal() < 5000 * kPage);
  CHECK(growing.db->execAndGet("SELECT count(*) FROM _spool").getInt64() == 10'000);
  CHECK(growing.db->execAndGet("PRAGMA integrity_check").getString() == "ok");
}

TEST_CASE("of a long -wal the writing thread does what is left") {
  Growing growing({.pages = 100, .long_wal = 100, .longest = 100'000});
  const auto before = size_of(growing.path);
  SQLite::Database reader(growing.path.string(), SQLite::OPEN_READONLY);
  SQLite::Transaction snapshot(reader);  // meanwhile the -wal cannot begin anew
  reader.execAndGet("SELECT count(*) FROM _spool");
  growing.commit_pages(120);
  growing.checkpointer.leave();
  snapshot.commit();
  growing.commit_pages(20);
  CHECK(size_of(growing.path) >= before + 140 * kPage);  // with the commit
}

TEST_CASE("the longest -wal is the writing thread's own affair") {
  Growing growing({.pages = 10, .long_wal = 10, .longest = 10});
  const auto before = size_of(growing.path);
  growing.commit_pages(30);
  CHECK(size_of(growing.path) >= before + 30 * kPage);  // with the commit
}

TEST_CASE("the file may go elsewhere once it was left") {
  Growing growing({.pages = 10, .long_wal = 100'000, .longest = 100'000});
  growing.commit_pages(30);
  growing.checkpointer.leave();
  growing.db.reset();
  REQUIRE(move_aside(growing.path, "corrupt", system_clock()));
  CHECK_FALSE(std::filesystem::exists(growing.path));
}

}  // namespace hm::store
