// The writer when something is wrong: no row is lost, none comes twice, and it says what it is.
#include <sys/resource.h>

#include <fstream>

#include "common/base/counters.h"
#include "interceptor/store/spool.h"
#include "tests/unit/store/fixture.h"

using namespace hm;
using namespace hm::store;

namespace {

std::vector<std::string> push_calls(Bench& bench, int count) {
  std::vector<std::string> ids;
  for (int i = 0; i < count; ++i) {
    CallRecord call = sample_call(kNoon + i);
    ids.push_back(call.id);
    REQUIRE(bench.queue.push(std::move(call)));
  }
  return ids;
}

std::vector<std::string> stored(Bench& bench) {
  std::vector<std::string> ids;
  SQLite::Database db(bench.options.database.string(), SQLite::OPEN_READONLY, 1000);
  SQLite::Statement row(db, "SELECT id FROM requests ORDER BY rowid");
  while (row.executeStep()) ids.push_back(row.getColumn(0).getString());
  return ids;
}

bool all_safe(Bench& bench) {
  return eventually([&] { return bench.writer->status().rows_safe == bench.queue.accepted(); });
}

std::vector<std::filesystem::path> beside(Bench& bench, const std::string& word) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder / ""))
    if (entry.path().filename().string().starts_with("db.sqlite." + word) &&
        entry.path().string().find("-wal") == std::string::npos &&
        entry.path().string().find("-shm") == std::string::npos)
      found.push_back(entry.path());
  return found;
}

}  // namespace

TEST_CASE("locked: rows are in the spool soon, and later in the database, in order") {
  Bench bench;
  bench.start();
  auto ids = push_calls(bench, 1);
  REQUIRE(bench.writer->flush(kLong));
  {
    const Lock lock(bench.options.database);
    for (int i = 0; i < 20; ++i) {
      const auto more = push_calls(bench, 15);
      ids.insert(ids.end(), more.begin(), more.end());
      std::this_thread::sleep_for(milliseconds(5));
    }
    REQUIRE(all_safe(bench));
    CHECK(eventually([&] { return bench.writer->status().in_memory == 0; }));
    CHECK(eventually([&] { return bench.writer->status().state == StoreState::locked; }));
    CHECK(bench.writer->status().ill_since_us > 0);
    CHECK(stored(bench).size() == 1);
  }
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench) == ids);
  CHECK(bench.writer->status().healthy);
  CHECK(bench.writer->status().state == StoreState::well);
  CHECK(bench.writer->status().ill_since_us == 0);
  CHECK(bench.writer->status().queue_depth == 0);
}

TEST_CASE(
    "a commit that was only late: nothing is read back from the spool, each row is there once") {
  Bench bench;
  bench.options.busy_timeout = kLong;  // it waits, and then it works
  bench.start();
  auto ids = push_calls(bench, 1);
  REQUIRE(bench.writer->flush(kLong));
  const int64_t failures = counters::get("store.failures").value();
  {
    const Lock lock(bench.options.database);
    for (int i = 0; i < 20; ++i) {
      const auto more = push_calls(bench, 15);
      ids.insert(ids.end(), more.begin(), more.end());
      std::this_thread::sleep_for(milliseconds(5));
    }
    REQUIRE(all_safe(bench));
    CHECK(bench.writer->status().spooled == 300);
    CHECK(stored(bench).size() == 1);
  }
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench) == ids);
  CHECK(bench.writer->status().rows_written == 301);
  CHECK(bench.writer->status().rows_safe == 301);
  CHECK(eventually([&] { return bench.writer->status().queue_depth == 0; }));
  // Whoever waits that long is told, once; it did not fail.
  CHECK(counters::get("store.failures").value() <= failures + 1);
  // And the way of later rows is the short one again.
  const auto last = push_calls(bench, 50);
  ids.insert(ids.end(), last.begin(), last.end());
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench) == ids);
  bench.writer->stop();
  CHECK(bench.spool_files().empty());
}

TEST_CASE("what is safe survives the process, also a crash in the middle of the replay") {
  Bench bench;
  bench.options.transaction_rows = 10;
  bench.start();
  REQUIRE(bench.writer->flush(kLong));
  std::vector<std::string> ids;
  const auto copy = bench.folder / "copy.spool";
  {
    const Lock lock(bench.options.database);
    ids = push_calls(bench, 45);
    bench.queue.push(sample_miss("ask_full", 2));
    REQUIRE(all_safe(bench));
    REQUIRE(bench.spool_files().size() == 1);
    // This is what a kill -9 would leave here.
    std::filesystem::copy_file(bench.spool_files().front(), copy);
    bench.writer->stop(milliseconds(0));
    std::filesystem::remove(bench.spool_files().front());
  }
  // A process that had got through some of it, without noting how far.
  std::filesystem::copy_file(copy, bench.options.spool_dir / "rows-1-1.spool");
  {
    auto dead = Spool::take_dead(bench.options.spool_dir);
    REQUIRE_FALSE(dead.empty());
    const auto chunk = dead.front()->read(20);
    REQUIRE(chunk);
    RecordQueue first;
    for (const CallRecord& call : chunk->rows.calls) first.push(CallRecord(call));
    Writer writer(bench.options, first, bundled(), system_clock());
    REQUIRE(writer.start());
    REQUIRE(writer.flush(kLong));
  }
  RecordQueue second;
  {
    Writer writer(bench.options, second, bundled(), system_clock());
    REQUIRE(writer.start());
    CHECK(eventually([&] { return stored(bench).size() == ids.size(); }));
  }
  CHECK(stored(bench) == ids);
  CHECK(bench.number("SELECT sum(count) FROM misses") == 2);
  CHECK(bench.number("SELECT count(*) FROM request_cost_lines") ==
        2 * static_cast<int64_t>(ids.size()));
  CHECK(bench.spool_files().empty());
}

TEST_CASE("the spool of a process that ends later is read by its successor") {
  Bench bench;
  bench.options.look_for_spools = milliseconds(50);
  bench.start();
  push_calls(bench, 1);
  REQUIRE(bench.writer->flush(kLong));
  auto other = Spool::take_or_make(bench.options.spool_dir, kNoon, bench.options.spool);
  REQUIRE(other);
  QueuedRows rows;
  rows.calls.push_back(sample_call());
  REQUIRE((*other)->append(rows));
  std::this_thread::sleep_for(milliseconds(200));
  CHECK(stored(bench).size() == 1);  // it lives
  other->reset();
  CHECK(eventually([&] { return stored(bench).size() == 2; }));
}

TEST_CASE("the spool's file is removed below us: what it holds is written all the same") {
  Bench bench;
  bench.start();
  push_calls(bench, 1);
  REQUIRE(bench.writer->flush(kLong));
  {
    const Lock lock(bench.options.database);
    push_calls(bench, 10);
    REQUIRE(all_safe(bench));
    std::filesystem::remove_all(bench.options.spool_dir);
    push_calls(bench, 10);
    REQUIRE(all_safe(bench));
    CHECK(bench.spool_files().size() == 1);
  }
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench).size() == 21);
}

TEST_CASE("rubbish in our own spool: what it held is counted as a miss") {
  Bench bench;
  bench.start();
  push_calls(bench, 1);
  REQUIRE(bench.writer->flush(kLong));
  {
    const Lock lock(bench.options.database);
    push_calls(bench, 10);
    REQUIRE(all_safe(bench));
    {
      std::fstream file(bench.spool_files().front(), std::ios::in | std::ios::out);
      file.seekp(40);
      file << "rubbish";
    }
    // What was read before is given up by then.
    const int64_t before = counters::get("store.failures").value();
    REQUIRE(eventually([&] { return counters::get("store.failures").value() >= before + 3; }));
  }
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench).size() == 1);
  CHECK(bench.number("SELECT sum(count) FROM misses WHERE reason = 'spool_damaged'") == 10);
  push_calls(bench, 3);
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench).size() == 4);
}

TEST_CASE("neither database nor spool: rows wait in memory, and it is said") {
  Bench bench;
  bench.options.spool_dir = bench.folder / "in-the-way";
  {
    std::ofstream(bench.folder / "in-the-way") << "x";
  }
  bench.start();
  push_calls(bench, 1);
  REQUIRE(bench.writer->flush(kLong));
  std::vector<std::string> ids;
  {
    const Lock lock(bench.options.database);
    ids = push_calls(bench, 10);
    REQUIRE(eventually([&] { return !bench.writer->status().healthy; }));
    REQUIRE(eventually([&] { return bench.writer->status().in_memory == 10; }));
    CHECK_FALSE(bench.writer->status().spool_works);
    CHECK_FALSE(bench.writer->status().spool_error().empty());
  }
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench).size() == 11);
}

TEST_CASE("a full spool: rows wait in memory behind it, in order") {
  Bench bench;
  bench.options.spool = {.reserved = 4096, .most = 8192};
  bench.start();
  push_calls(bench, 1);
  REQUIRE(bench.writer->flush(kLong));
  auto ids = stored(bench);
  {
    const Lock lock(bench.options.database);
    for (int i = 0; i < 10; ++i) {
      const auto more = push_calls(bench, 3);
      ids.insert(ids.end(), more.begin(), more.end());
      std::this_thread::sleep_for(milliseconds(60));
    }
    REQUIRE(eventually([&] { return !bench.writer->status().spool_works; }));
  }
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench) == ids);
}

TEST_CASE("a miss that is handed over twice is one row; unnamed ones get names") {
  Bench bench;
  bench.start();
  MissRecord miss = sample_miss("gate_closed", 3);
  miss.source = "edge-7";
  miss.sequence = 1;
  bench.queue.push(MissRecord(miss));
  bench.queue.push(MissRecord(miss));
  REQUIRE(bench.writer->flush(kLong));
  bench.queue.push(MissRecord(miss));
  miss.sequence = 2;
  bench.queue.push(MissRecord(miss));
  bench.queue.push(sample_miss("not_tls"));
  bench.queue.push(sample_miss("not_tls"));
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT sum(count) FROM misses WHERE source = 'edge-7'") == 6);
  CHECK(bench.number("SELECT count(*) FROM misses WHERE reason = 'not_tls'") == 2);
  CHECK(bench.number("SELECT count(*) FROM misses WHERE source LIKE 'daemon-%'") == 2);
}

TEST_CASE("one connection, one miss: edge and interceptor do not both count it") {
  Bench bench;
  bench.start();
  const auto miss = [&](const std::string& source, int64_t sequence, const std::string& reason,
                        const std::string& call_id, int64_t count = 1) {
    MissRecord record = sample_miss(reason, count);
    record.source = source;
    record.sequence = sequence;
    record.call_id = call_id;
    record.less_rows = source == "flights-1";
    bench.queue.push(std::move(record));
    REQUIRE(bench.writer->flush(kLong));
  };
  const auto call = [&](const std::string& call_id) {
    CallRecord record = sample_call();
    record.call_id = call_id;
    bench.queue.push(std::move(record));
    REQUIRE(bench.writer->flush(kLong));
  };
  const auto counted = [&](const std::string& call_id) {
    return bench.number("SELECT coalesce(sum(count), 0) FROM misses WHERE call_id = '" + call_id +
                        "'");
  };
  // The edge went round a hung interceptor, which finds the dead connection when it wakes.
  miss("edge-1", 1, "no_first_answer", "a");
  miss("", 0, "hello_timeout", "a");
  CHECK(counted("a") == 1);
  miss("", 0, "hello_timeout", "b");
  miss("edge-1", 2, "no_first_answer", "b");
  CHECK(counted("b") == 1);
  // Killed while idle: everything that it had begun has its row.
  call("c");
  call("c");
  miss("flights-1", 1, "interceptor_lost", "c", 2);
  miss("edge-1", 3, "interceptor_lost", "c");
  CHECK(counted("c") == 0);
  // Killed with three of five streams under way; the edge saw one connection break.
  call("d");
  call("d");
  miss("flights-1", 2, "interceptor_lost", "d", 5);
  miss("flights-1", 2, "interceptor_lost", "d", 5);
  miss("edge-1", 4, "interceptor_lost", "d");
  CHECK(counted("d") == 3);
  // The other way round.
  miss("edge-1", 5, "interceptor_lost", "e");
  CHECK(counted("e") == 1);
  miss("flights-1", 3, "interceptor_lost", "e", 4);
  CHECK(counted("e") == 4);
  // Misses of single exchanges say nothing about the others.
  miss("", 0, "unmetered_path", "f");
  miss("", 0, "unmetered_path", "f");
  miss("edge-1", 6, "interceptor_lost", "f");
  CHECK(counted("f") == 3);
  // Rows that come out of a dead process' spool only afterwards.
  miss("flights-1", 4, "interceptor_lost", "h", 3);
  miss("edge-1", 8, "interceptor_lost", "i");
  CHECK(counted("h") + counted("i") == 4);
  call("h");
  CHECK(counted("h") == 2);
  call("h");
  call("h");
  CHECK(counted("h") == 0);
  call("i");
  CHECK(counted("i") == 0);
  miss("flights-1", 4, "interceptor_lost", "h", 3);  // handed over once more
  miss("edge-1", 8, "interceptor_lost", "i");
  CHECK(counted("h") + counted("i") == 0);
  // A connection without rows, and the process died right after it: told once, in either order.
  miss("", 0, "client_refused_ca", "j");
  miss("flights-1", 5, "interceptor_lost", "j");
  CHECK(counted("j") == 1);
  miss("flights-1", 6, "interceptor_lost", "k");
  miss("daemon-1", 1, "client_refused_ca", "k");  // out of its spool
  CHECK(counted("k") == 1);
  CHECK(bench.text("SELECT reason FROM misses WHERE call_id = 'k'") == "client_refused_ca");
  miss("edge-1", 9, "no_first_answer", "l");
  miss("flights-1", 7, "interceptor_lost", "l");
  CHECK(counted("l") == 1);
  // Nobody else has seen it.
  miss("edge-1", 7, "interceptor_lost", "g");
  CHECK(counted("g") == 1);
}

TEST_CASE("a full queue does not count what its ledger keeps") {
  RecordQueue queue({2, 1 << 20});
  MissRecord named = sample_miss();
  named.source = "edge-7";
  CHECK(queue.push(sample_call()));
  CHECK(queue.push(sample_call()));
  CHECK_FALSE(queue.push(MissRecord(named)));
  CHECK_FALSE(queue.push(sample_miss()));
  CHECK_FALSE(queue.push(sample_call()));
  CHECK(queue.take().dropped == 2);
}

TEST_CASE("rubbish over the head of the open database is noticed before the next row") {
  Bench bench;
  bench.start();
  push_calls(bench, 5);
  REQUIRE(bench.writer->flush(kLong));
  {
    std::fstream file(bench.options.database, std::ios::in | std::ios::out | std::ios::binary);
    file << std::string(100, 'Z');
  }
  push_calls(bench, 7);
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench).size() == 7);
  REQUIRE(beside(bench, "corrupt-").size() == 1);
  const std::string notice = bench.writer->status().notice();
  CHECK(notice.find(beside(bench, "corrupt-").front().string()) != std::string::npos);
  CHECK(notice.find("new one was begun in " + bench.options.database.string()) !=
        std::string::npos);
  CHECK(bench.writer->status().healthy);
}

TEST_CASE("the database's main file is removed while it is open") {
  Bench bench;
  bench.start();
  push_calls(bench, 5);
  REQUIRE(bench.writer->flush(kLong));
  std::filesystem::remove(bench.options.database);  // its -wal and -shm stay
  push_calls(bench, 7);
  REQUIRE(bench.writer->flush(kLong));
  CHECK(stored(bench).size() == 7);
  CHECK(bench.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("damage in the middle of the file shows at the next start") {
  Bench bench;
  bench.start();
  push_calls(bench, 300);
  REQUIRE(bench.writer->flush(kLong));
  bench.writer->stop();
  {
    std::fstream file(bench.options.database, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 * 20);
    file << std::string(4096 * 20, '\xee');
  }
  RecordQueue queue;
  Writer writer(bench.options, queue, bundled(), system_clock());
  REQUIRE(writer.start());
  queue.push(sample_call());
  REQUIRE(writer.flush(kLong));
  CHECK(stored(bench).size() == 1);
  CHECK(beside(bench, "corrupt-").size() == 1);
  CHECK_FALSE(writer.status().notice().empty());
}

TEST_CASE("two writers on one database: an old process drains beside its successor") {
  Bench bench;
  bench.start();
  RecordQueue queue;
  Writer successor(bench.options, queue, bundled(), system_clock());
  REQUIRE(successor.start());
  for (int i = 0; i < 50; ++i) {
    push_calls(bench, 5);
    for (int j = 0; j < 5; ++j) queue.push(sample_call());
  }
  REQUIRE(bench.writer->flush(kLong));
  REQUIRE(successor.flush(kLong));
  CHECK(stored(bench).size() == 500);
  bench.writer->stop();
  successor.stop();
  CHECK(bench.spool_files().empty());
}
