#include <sys/stat.h>

#include <fstream>

#include "interceptor/store/schema.h"
#include "interceptor/store/timestamp.h"
#include "tests/support/full_disk.h"
#include "tests/unit/store/fixture.h"

using namespace hm;
using namespace hm::store;

TEST_CASE("a row is written, priced and explained") {
  Bench bench;
  bench.start();
  CallRecord r = sample_call();
  r.id = "the-row";
  r.usage.parts = {{"input_audio", 5}};
  r.extra_usage = {{"advisor_message", "claude-opus-4-8", {}}};
  r.extra_usage[0].usage.output_tokens = 10;
  r.tool_calls = {{"web_search", 2}};
  r.rate_limits = {
      {"anthropic-ratelimit-requests-reset", "2026-11-15T12:00:01Z", kNoon + 1'000'000}};
  r.attribution.project = "demo";
  r.attribution.run_id = "run-7";
  r.retry_after_s = 1.5;
  CHECK(bench.queue.push(std::move(r)));
  REQUIRE(bench.writer->flush(kLong));

  const int64_t cost = int64_t{3'000'000'000} + 10 * 25'000'000 + int64_t{20'000'000'000};
  CHECK(bench.number("SELECT cost_pico_usd FROM requests WHERE id = 'the-row'") == cost);
  CHECK(bench.number("SELECT cost_usd_minor_units FROM requests") == 2325);
  CHECK(bench.number("SELECT sum(amount_pico_usd) FROM request_cost_lines") == cost);
  CHECK(bench.text("SELECT slug FROM projects") == "demo");
  CHECK(bench.text("SELECT requested_at FROM requests") == "2026-11-15T12:00:00.000000Z");
  CHECK(bench.text("SELECT rates_source FROM requests") == "bundled-2026-11-23");
  CHECK(bench.text("SELECT run_id FROM requests") == "run-7");
  CHECK(bench.number("SELECT latency_ms FROM requests") == 250);
  CHECK(bench.number("SELECT count FROM request_tool_calls WHERE name = 'web_search'") == 2);
  CHECK(bench.number("SELECT tokens FROM request_usage_parts WHERE extra_position = -1") == 5);
  CHECK(bench.text("SELECT model FROM request_extra_usage") == "claude-opus-4-8");
  CHECK(bench.text("SELECT instant FROM request_rate_limits") == "2026-11-15T12:00:01.000000Z");
  CHECK(bench.number("SELECT count(*) FROM requests WHERE requested_model IS NULL") == 0);
  CHECK(bench.number("SELECT count(*) FROM requests WHERE session_id IS NULL") == 1);
  CHECK(bench.number("SELECT count(*) FROM pricing_rates WHERE model = 'claude-sonnet-5'") > 4);
  CHECK(bench.writer->status().rows_written == 1);
  CHECK(bench.writer->status().last_commit_us > 0);
  CHECK(bench.writer->status().healthy);
  bench.writer->stop();
  // Nothing but the file itself is left, and it is the user's alone.
  CHECK_FALSE(std::filesystem::exists(bench.options.database.string() + "-wal"));
  struct stat info{};
  REQUIRE(::stat(bench.options.database.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("an idle queue's single row is committed soon") {
  Bench bench;
  bench.start();
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));  // the first pays for the card's rows and the project
  int64_t best_us = 1'000'000'000;
  for (int i = 0; i < 10; ++i) {
    const int64_t started = system_clock().steady_us();
    bench.queue.push(sample_call());
    REQUIRE(bench.writer->flush(kLong));
    best_us = std::min(best_us, system_clock().steady_us() - started);
  }
  CHECK(best_us < 1'000'000);  // 50 ms on a machine with nothing else to do
}

TEST_CASE("ten thousand rows of four threads, sums exact") {
  Bench bench;
  bench.start();
  constexpr int kThreads = 4, kEach = 2500;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&bench, t] {
      for (int i = 0; i < kEach; ++i) {
        CallRecord r = sample_call(kNoon + i);
        r.id = "t" + std::to_string(t) + "-" + std::to_string(i);
        r.usage.input_tokens = i;
        r.usage.output_tokens = t;
        r.attribution.project = "project-" + std::to_string(i % 7);
        if (!bench.queue.push(std::move(r))) std::abort();
      }
    });
  for (std::thread& thread : threads) thread.join();
  REQUIRE(bench.writer->flush(kLong));
  Queries queries = bench.queries();
  const Totals totals = queries.totals({}).value();
  CHECK(totals.requests == kThreads * kEach);
  const int64_t input = int64_t{kThreads} * kEach * (kEach - 1) / 2;
  const int64_t output = int64_t{kEach} * (0 + 1 + 2 + 3);
  CHECK(totals.input_tokens == input);
  CHECK(totals.output_tokens == output);
  CHECK(totals.cost == PicoUsd(pricing::Int128{input} * 2'000'000 + output * int64_t{10'000'000}));
  CHECK(totals.unpriced == 0);
  CHECK(queries.by(GroupBy::project, {})->size() == 7);
  CHECK(bench.writer->status().queue_depth == 0);
}

TEST_CASE("rows wait while the database is locked") {
  Bench bench;
  bench.start();
  REQUIRE(eventually([&] { return std::filesystem::exists(bench.options.database); }));
  {
    SQLite::Database other(bench.options.database.string(), SQLite::OPEN_READWRITE, 5000);
    SQLite::Transaction lock(other, SQLite::TransactionBehavior::EXCLUSIVE);
    for (int i = 0; i < 10; ++i) bench.queue.push(sample_call());
    REQUIRE(eventually([&] { return !bench.writer->status().healthy; }));
    CHECK(bench.writer->status().rows_written == 0);
    // The depth is told a moment after the push.
    CHECK(eventually([&] { return bench.writer->status().queue_depth == 10; }));
    CHECK(bench.writer->status().last_error().find("another program") != std::string::npos);
    CHECK_FALSE(bench.writer->flush(milliseconds(50)));
  }
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 10);
  CHECK(bench.writer->status().healthy);
  CHECK(bench.writer->status().last_error().empty());
}

TEST_CASE("stopping while locked spools, the next start reads back") {
  Bench bench;
  bench.start();
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  const int64_t before = bench.writer->status().spooled;
  {
    SQLite::Database other(bench.options.database.string(), SQLite::OPEN_READWRITE, 5000);
    SQLite::Transaction lock(other, SQLite::TransactionBehavior::EXCLUSIVE);
    for (int i = 0; i < 300; ++i) bench.queue.push(sample_call());
    bench.queue.push(sample_miss("ask_timeout", 3));
    const auto started = std::chrono::steady_clock::now();
    bench.writer->stop(milliseconds(200));
    CHECK(std::chrono::steady_clock::now() - started < kLong);
    CHECK(bench.writer->status().spooled == before + 301);
  }
  REQUIRE(bench.spool_files().size() == 1);
  const auto spooled = bench.spool_files().front();
  const auto copy = bench.folder / "copy";
  std::filesystem::copy_file(spooled, copy);

  RecordQueue queue;
  {
    Writer writer(bench.options, queue, bundled(), system_clock());
    REQUIRE(writer.start());
    CHECK(eventually([&] { return bench.number("SELECT count(*) FROM requests") == 301; }));
  }
  CHECK(bench.spool_files().empty());
  CHECK(bench.number("SELECT count(*) FROM requests") == 301);
  CHECK(bench.number("SELECT sum(count) FROM misses WHERE reason = 'ask_timeout'") == 3);
  CHECK(bench.number("SELECT count(*) FROM requests WHERE cost_pico_usd = 3000000000") == 301);

  // A crash between commit and unlink leaves the file: it is not read twice.
  std::filesystem::copy_file(copy, spooled);
  {
    RecordQueue again;
    Writer writer(bench.options, again, bundled(), system_clock());
    REQUIRE(writer.start());
  }
  CHECK(bench.number("SELECT sum(count) FROM misses") == 3);
  CHECK(bench.number("SELECT count(*) FROM requests") == 301);
  CHECK(bench.spool_files().empty());
}

TEST_CASE("a place that cannot be written: rows wait until it can") {
  Bench bench;
  bench.options.database = bench.folder / "not-a-folder" / "db.sqlite";
  {
    std::ofstream(bench.folder / "not-a-folder") << "in the way";
  }
  bench.start();
  CHECK_FALSE(bench.writer->status().healthy);
  for (int i = 0; i < 5; ++i) bench.queue.push(sample_call());
  CHECK_FALSE(bench.writer->flush(milliseconds(100)));
  std::filesystem::remove(bench.folder / "not-a-folder");
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 5);
}

TEST_CASE("a full disk: rows wait, then all are there") {
  Bench bench;
  bench.start();
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  bool noticed = false;
  bool flushed = true;
  {
    const hm::test::FullDisk full(4096);
    REQUIRE(full.limited());
    for (int i = 0; i < 500; ++i) bench.queue.push(sample_call());
    noticed = eventually([&] { return !bench.writer->status().healthy; });
    flushed = bench.writer->flush(milliseconds(50));
  }
  CHECK(noticed);
  CHECK_FALSE(flushed);
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 501);
  CHECK(bench.writer->status().healthy);
}

TEST_CASE("a damaged database is moved aside and a new one begun") {
  Bench bench;
  {
    std::ofstream file(bench.options.database);
    file << "SQLite format 3" << '\0' << std::string(5000, 'Z');
  }
  bench.start();
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 1);
  int aside = 0;
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder / ""))
    if (entry.path().filename().string().starts_with("db.sqlite.corrupt-")) ++aside;
  CHECK(aside == 1);
}

TEST_CASE("damage that shows while writing") {
  Bench bench;
  bench.start();
  for (int i = 0; i < 500; ++i) bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  bench.writer->stop();
  // Every page but the first is rubbish.
  const auto size = std::filesystem::file_size(bench.options.database);
  {
    std::fstream file(bench.options.database, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 * 2);
    file << std::string(size - 4096 * 2, '\xee');
  }
  RecordQueue queue;
  Writer writer(bench.options, queue, bundled(), system_clock());
  REQUIRE(writer.start());
  queue.push(sample_call());
  REQUIRE(writer.flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 1);
}

TEST_CASE("somebody else's database is left alone, beside ours") {
  Bench bench;
  {
    SQLite::Database other(bench.options.database.string(),
                           SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE requests (id INTEGER); INSERT INTO requests VALUES (1), (2)");
  }
  CHECK(Queries::open(bench.options.database).error().code == Code::malformed);
  bench.start();
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 1);
  std::filesystem::path aside;
  for (const auto& entry : std::filesystem::directory_iterator(bench.folder / ""))
    if (entry.path().filename().string().starts_with("db.sqlite.other-")) aside = entry.path();
  REQUIRE_FALSE(aside.empty());
  SQLite::Database old(aside.string());
  CHECK(old.execAndGet("SELECT count(*) FROM requests").getInt() == 2);
}

TEST_CASE("a database that was removed below the writer is made again") {
  Bench bench;
  bench.start();
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  for (const char* part : {"", "-wal", "-shm"})
    std::filesystem::remove(bench.options.database.string() + part);
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 1);
}

TEST_CASE("migrations: once from nothing, none at the next start") {
  Bench bench;
  bench.start();
  bench.writer->stop();
  CHECK(bench.number("SELECT count(*) FROM _migrations") ==
        static_cast<int64_t>(migrations().size()));
  CHECK(bench.number("SELECT max(version) FROM _migrations") == kSchemaVersion);
  const std::string at = bench.text("SELECT applied_at FROM _migrations");
  const int64_t rates = bench.number("SELECT count(*) FROM pricing_rates");
  CHECK(rates == 1980);
  RecordQueue queue;
  Writer again(bench.options, queue, bundled(), system_clock());
  REQUIRE(again.start());
  again.stop();
  CHECK(bench.text("SELECT applied_at FROM _migrations") == at);
  CHECK(bench.number("SELECT count(*) FROM pricing_rates") == rates);
  CHECK(bench.text("PRAGMA journal_mode") == "wal");
  CHECK(bench.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("the same response seen again updates its row") {
  Bench bench;
  bench.start();
  CallRecord background = sample_call();
  background.id = "first";
  background.provider = background.rate_namespace = "openai";
  background.model = "gpt-5.5";
  background.response_id = "resp_1";
  background.usage = {};
  background.tokens_complete = false;
  background.incomplete_reason = "background";
  background.attribution.project = "maker";
  CallRecord fetched = background;
  fetched.id = "second";
  fetched.requested_at_us = kNoon + 60'000'000;
  fetched.bytes_up = 0;
  fetched.usage.input_tokens = 1000;
  fetched.usage.output_tokens = 100;
  fetched.tokens_complete = true;
  fetched.incomplete_reason = "";
  fetched.attribution.project = "fetcher";
  bench.queue.push(CallRecord(background));
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.text("SELECT unpriced_reason FROM requests") == "no_usage");
  bench.queue.push(CallRecord(fetched));
  bench.queue.push(CallRecord(fetched));  // and once more
  CallRecord poorer = background;         // knows less than the row
  poorer.bytes_up = 0;
  poorer.id = "third";
  bench.queue.push(std::move(poorer));
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 1);
  CHECK(bench.text("SELECT id FROM requests") == "first");
  CHECK(bench.number("SELECT cost_pico_usd FROM requests") == 8'000'000'000);
  CHECK(bench.number("SELECT tokens_complete FROM requests") == 1);
  CHECK(bench.number("SELECT count(*) FROM requests WHERE incomplete_reason IS NULL") == 1);
  CHECK(bench.text("SELECT requested_at FROM requests") == "2026-11-15T12:00:00.000000Z");
  CHECK(bench.text("SELECT slug FROM projects JOIN requests ON projects.id = project_id") ==
        "maker");
  CHECK(bench.number("SELECT count(*) FROM request_cost_lines") == 2);

  // A call that made something new is new, whatever id the answer bears; so is another provider's.
  CallRecord made = fetched;
  made.id = "fourth";
  made.bytes_up = 10;
  bench.queue.push(std::move(made));
  CallRecord other = fetched;
  other.id = "fifth";
  other.provider = "xai";
  bench.queue.push(std::move(other));
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 3);
}

TEST_CASE("the very same row twice is one row") {
  Bench bench;
  bench.start();
  const CallRecord r = sample_call();
  bench.queue.push(CallRecord(r));
  bench.queue.push(CallRecord(r));
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 1);
  CHECK(bench.number("SELECT count(*) FROM request_cost_lines") == 2);
}

TEST_CASE("what a full queue dropped is itself a row") {
  Bench bench({5, 1 << 20});
  for (int i = 0; i < 8; ++i) bench.queue.push(sample_call());
  bench.start();
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 5);
  CHECK(bench.number("SELECT count FROM misses WHERE reason = 'queue_full'") == 3);
  CHECK(bench.writer->status().dropped == 3);
}

TEST_CASE("rates can be changed while it runs; old costs stay") {
  Bench bench;
  bench.start();
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  auto dear = pricing::RateCard::bundled().with_overrides(R"({"models": [
    {"provider": "anthropic", "model": "claude-sonnet-5",
     "periods": [{"from": null, "to": null, "rates": {"input": "7", "output": "7"}}]}]})");
  REQUIRE(dear);
  bench.writer->set_rates(std::make_shared<pricing::RateCard>(std::move(*dear)));
  bench.queue.push(sample_call(kNoon + 1));
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT cost_pico_usd FROM requests ORDER BY requested_at LIMIT 1") ==
        3'000'000'000);
  CHECK(bench.number("SELECT cost_pico_usd FROM requests WHERE rates_source = 'override'") ==
        7'700'000'000);
  CHECK(bench.number("SELECT count(DISTINCT card_id) FROM pricing_rates") == 2);
}

TEST_CASE("timestamps read back as written") {
  for (const int64_t us : {kNoon, kNoon + 1, int64_t{0}, int64_t{951'782'400'000'000}})
    CHECK(parse_timestamp(iso8601_utc(us)) == us);
  CHECK(parse_timestamp("2026-11-15T12:00:00Z") == kNoon);
  CHECK(parse_timestamp("2026-11-15T12:00:00.5Z") == kNoon + 500'000);
  CHECK_FALSE(parse_timestamp("2026-11-15 12:00:00Z"));
  CHECK_FALSE(parse_timestamp("2026-13-15T12:00:00Z"));
  CHECK_FALSE(parse_timestamp(""));
}
