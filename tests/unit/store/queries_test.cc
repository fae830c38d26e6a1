#include <algorithm>
#include <fstream>

#include "interceptor/store/schema.h"
#include "interceptor/store/where.h"
#include "tests/unit/store/fixture.h"

using namespace hm;
using namespace hm::store;

namespace {

constexpr int64_t kHour = int64_t{3600} * 1'000'000;

// Six calls whose figures are easy to add up in the head.
void fill(Bench& bench) {
  bench.start();
  const auto add = [&](const char* project, int64_t at, int64_t duration_ms, auto change) {
    CallRecord r = sample_call(at);
    r.attribution.project = project;
    r.duration_us = duration_ms * 1000;
    change(r);
    bench.queue.push(std::move(r));
  };
  add("alpha", kNoon, 100, [](CallRecord&) {});
  add("alpha", kNoon + kHour, 300, [](CallRecord& r) {
    r.usage.cache_read_tokens = 1000;  // 0.2 per million
    r.usage.cache_write_1h_tokens = 10;
    r.attribution.run_id = "run-1";
  });
  add("beta", kNoon + 2 * kHour, 200, [](CallRecord& r) {
    r.provider = r.rate_namespace = "openai";
    r.model = "gpt-9-unheard-of";
  });
  add("beta", kNoon + 24 * kHour, 400, [](CallRecord& r) { r.billing = "subscription"; });
  add("beta", kNoon + 24 * kHour, 500, [](CallRecord& r) {
    r.usage = {};
    r.tokens_complete = false;
    r.incomplete_reason = "truncated";
    r.status = CallStatus::truncated;
  });
  add("beta", kNoon + 25 * kHour, 1500, [](CallRecord& r) {
    r.usage = {};
    r.status = CallStatus::error;
    r.http_status = 429;
    r.error_class = "rate_limit";
  });
  bench.queue.push(sample_miss("gate_closed", 2));
  bench.queue.push(sample_miss("gate_closed", 1));
  bench.queue.push(sample_miss("unknown_path", 5));
  REQUIRE(bench.writer->flush(kLong));
}

constexpr int64_t kPlain = 3'000'000'000;
constexpr int64_t kCached = kPlain + 200'000'000 + 40'000'000;

}  // namespace

TEST_CASE("totals by hand") {
  Bench bench;
  fill(bench);
  Queries queries = bench.queries();
  const Totals t = queries.totals({}).value();
  CHECK(t.requests == 6);
  CHECK(t.errors == 2);
  CHECK(t.incomplete == 1);
  CHECK(t.no_usage == 1);
  CHECK(t.unpriced == 1);
  CHECK(t.subscription == 1);
  CHECK(t.input_tokens == 4000);
  CHECK(t.output_tokens == 400);
  CHECK(t.cache_read_tokens == 1000);
  CHECK(t.cache_write_tokens == 10);
  CHECK(t.bytes_up == 3000);
  CHECK(t.cost == PicoUsd(kPlain + kCached));
  CHECK(t.shadow_cost == PicoUsd(kPlain));
  CHECK(t.avg_latency_ms == 500);
  CHECK(t.p95_latency_ms == 1500);
}

// One walk of our own against SQLite's own sums.
TEST_CASE("the summary says what totals, tables and the list of unpriced models say") {
  Bench bench;
  fill(bench);
  Queries queries = bench.queries();
  const auto same_totals = [](const Totals& a, const Totals& b) {
    CHECK(a.requests == b.requests);
    CHECK(a.errors == b.errors);
    CHECK(a.incomplete == b.incomplete);
    CHECK(a.no_usage == b.no_usage);
    CHECK(a.unpriced == b.unpriced);
    CHECK(a.subscription == b.subscription);
    CHECK(a.input_tokens == b.input_tokens);
    CHECK(a.output_tokens == b.output_tokens);
    CHECK(a.thinking_tokens == b.thinking_tokens);
    CHECK(a.cache_read_tokens == b.cache_read_tokens);
    CHECK(a.cache_write_tokens == b.cache_write_tokens);
    CHECK(a.bytes_up == b.bytes_up);
    CHECK(a.bytes_down == b.bytes_down);
    CHECK(a.cost == b.cost);
    CHECK(a.shadow_cost == b.shadow_cost);
    CHECK(a.avg_latency_ms == b.avg_latency_ms);
    CHECK(a.p95_latency_ms == b.p95_latency_ms);
  };
  const auto same_groups = [&](const std::vector<Group>& a, const std::vector<Group>& b) {
    REQUIRE(a.size() == b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i].key == b[i].key);
      CHECK(a[i].provider == b[i].provider);
      same_totals(a[i].totals, b[i].totals);
    }
  };
  std::vector<Filter> filters(9);
  filters[1].since_us = kNoon + kHour;       // most rows
  filters[2].since_us = kNoon + 25 * kHour;  // one of six
  filters[3].until_us = kNoon + kHour;
  filters[4].project = "beta";
  filters[5].project = "nobody";
  filters[6].provider = "openai";
  filters[7].model = "claude-sonnet-5";
  filters[8].run_id = "run-1";
  for (const Filter& filter : filters) {
    const auto summary = queries.summary(filter);
    REQUIRE(summary);
    same_totals(summary->totals, queries.totals(filter).value());
    same_groups(summary->projects, queries.by(GroupBy::project, filter).value());
    same_groups(summary->providers, queries.by(GroupBy::provider, filter).value());
    same_groups(summary->models, queries.by(GroupBy::model, filter).value());
    const auto unpriced = queries.unpriced_models(filter).value();
    REQUIRE(summary->unpriced.size() == unpriced.size());
    for (size_t i = 0; i < unpriced.size(); ++i) {
      CHECK(summary->unpriced[i].provider == unpriced[i].provider);
      CHECK(summary->unpriced[i].model == unpriced[i].model);
      CHECK(summary->unpriced[i].reason == unpriced[i].reason);
      CHECK(summary->unpriced[i].requests == unpriced[i].requests);
      CHECK(summary->unpriced[i].input_tokens == unpriced[i].input_tokens);
      CHECK(summary->unpriced[i].output_tokens == unpriced[i].output_tokens);
      CHECK(summary->unpriced[i].first_seen_us == unpriced[i].first_seen_us);
      CHECK(summary->unpriced[i].last_seen_us == unpriced[i].last_seen_us);
    }
    CHECK(queries.missed(filter).value() == queries.metered_share(filter)->missed);
  }
}

TEST_CASE("filters") {
  Bench bench;
  fill(bench);
  Queries queries = bench.queries();
  const auto count = [&](const Filter& filter) { return queries.totals(filter)->requests; };
  Filter filter;
  filter.since_us = kNoon + kHour;
  CHECK(count(filter) == 5);
  filter.until_us = kNoon + 24 * kHour;
  CHECK(count(filter) == 2);
  filter = {};
  filter.project = "alpha";
  CHECK(count(filter) == 2);
  CHECK(queries.totals(filter)->cost == PicoUsd(kPlain + kCached));
  filter.provider = "openai";
  CHECK(count(filter) == 0);
  CHECK_FALSE(queries.totals(filter)->avg_latency_ms);
  filter = {};
  filter.run_id = "run-1";
  CHECK(count(filter) == 1);
  filter = {};
  filter.model = "gpt-9-unheard-of";
  CHECK(count(filter) == 1);
  filter.project = "x' OR '1'='1";
  CHECK(count(filter) == 0);
}

TEST_CASE("groups") {
  Bench bench;
  fill(bench);
  Queries queries = bench.queries();
  auto groups = queries.by(GroupBy::project, {}).value();
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].key == "alpha");
  CHECK(groups[0].totals.cost == PicoUsd(kPlain + kCached));
  CHECK(groups[0].totals.avg_latency_ms == 200);
  CHECK(groups[0].totals.p95_latency_ms == 300);
  CHECK(groups[1].totals.requests == 4);
  CHECK(groups[1].totals.cost.zero());
  CHECK(groups[1].totals.avg_latency_ms == 650);

  groups = queries.by(GroupBy::model, {}).value();
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].key == "claude-sonnet-5");
  CHECK(groups[0].provider == "anthropic");
  CHECK(groups[1].totals.unpriced == 1);
  CHECK(queries.by(GroupBy::provider, {})->size() == 2);
  CHECK(queries.by(GroupBy::host, {})->size() == 1);
  CHECK(queries.by(GroupBy::client, {})->front().key.empty());

  groups = queries.by(GroupBy::day, {}).value();
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].key == "2026-11-15");
  CHECK(groups[0].totals.requests == 3);
  CHECK(groups[1].key == "2026-11-16");
  groups = queries.by(GroupBy::hour, {}).value();
  CHECK(groups.size() == 5);
  CHECK(groups[1].key == "2026-11-15T13");
}

TEST_CASE("misses and what was metered") {
  Bench bench;
  fill(bench);
  Queries queries = bench.queries();
  const auto misses = queries.misses({}).value();
  REQUIRE(misses.size() == 2);
  CHECK(misses[0].reason == "unknown_path");
  CHECK(misses[1].count == 3);
  CHECK(misses[1].host == "api.openai.com");
  CHECK(misses[1].last_us == kNoon);
  const MeteredShare share = queries.metered_share({}).value();
  CHECK(share.metered == 6);
  CHECK(share.missed == 3);
  CHECK(share.per_mille() == 666);
  Filter later;
  later.since_us = kNoon + 100 * kHour;
  CHECK_FALSE(queries.metered_share(later)->per_mille());
  CHECK(queries.misses(later)->empty());
}

TEST_CASE("unpriced models, last capture, projects, rows") {
  Bench bench;
  fill(bench);
  Queries queries = bench.queries();
  const auto unpriced = queries.unpriced_models({}).value();
  REQUIRE(unpriced.size() == 1);
  CHECK(unpriced[0].provider == "openai");
  CHECK(unpriced[0].model == "gpt-9-unheard-of");
  CHECK(unpriced[0].reason == "unknown_model");
  CHECK(unpriced[0].requests == 1);
  CHECK(unpriced[0].input_tokens == 1000);
  CHECK(unpriced[0].first_seen_us == kNoon + 2 * kHour);
  CHECK(queries.last_capture_us().value() == kNoon + 25 * kHour);
  CHECK(queries.schema_version().value() == kSchemaVersion);

  const auto projects = queries.projects().value();
  REQUIRE(projects.size() == 2);
  CHECK(projects[0].slug == "alpha");
  CHECK(projects[0].requests == 2);
  CHECK(projects[1].last_seen_us == kNoon + 25 * kHour);
  CHECK_FALSE(projects[1].archived);

  const auto rows = queries.recent({}, 2).value();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].error_class == "rate_limit");
  CHECK(rows[0].http_status == 429);
  CHECK(rows[0].cost_pico_usd == 0);
  CHECK(rows[0].status == "error");
  CHECK(rows[0].latency_ms == 1500);
  const auto first = queries.recent({}, 1, 5).value();
  REQUIRE(first.size() == 1);
  CHECK(first[0].requested_at_us == kNoon);
  CHECK(first[0].project == "alpha");
  CHECK(first[0].endpoint == "messages");
  CHECK(first[0].cost_pico_usd == kPlain);
  CHECK(first[0].rates_source == "bundled-2026-11-23");

  std::vector<std::string> ids;
  REQUIRE(queries.each({}, [&](const RequestRow& row) {
    ids.push_back(row.id);
    return true;
  }));
  auto newest_first = queries.recent({}, 1000).value();
  std::ranges::reverse(newest_first);
  REQUIRE(ids.size() == newest_first.size());
  for (size_t i = 0; i < ids.size(); ++i) CHECK(ids[i] == newest_first[i].id);
  int taken = 0;
  REQUIRE(queries.each({}, [&](const RequestRow&) { return ++taken < 2; }));
  CHECK(taken == 2);
}

TEST_CASE("sums beyond 64 bits are exact") {
  Bench bench;
  bench.start();
  constexpr int64_t kHuge = 9'000'000'000'000'000'001;
  for (int i = 0; i < 5; ++i) {
    CallRecord r = sample_call();
    r.provider_cost_pico_usd = kHuge;
    bench.queue.push(std::move(r));
  }
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.queries().totals({})->cost.digits() == "45000000000000000005");
}

TEST_CASE("no database is not found, other files are malformed") {
  TempFolder folder;
  CHECK(Queries::open(folder / "none.sqlite").error().code == Code::not_found);
  {
    std::ofstream(folder / "empty.sqlite");
  }
  CHECK(Queries::open(folder / "empty.sqlite").error().code == Code::not_found);
  // Not to be reached is not the same as not there. (Nothing is closed to root, which tests may
  // be.)
  std::filesystem::create_directory(folder / "folder.sqlite");
  std::filesystem::create_symlink("loop.sqlite", folder / "loop.sqlite");
  for (const char* name : {"folder.sqlite", "loop.sqlite", "empty.sqlite/below.sqlite"}) {
    INFO(name);
    CHECK(Queries::open(folder / name).error().code == Code::system);
  }
  {
    std::ofstream(folder / "text.sqlite") << std::string(5000, 'x');
  }
  CHECK(Queries::open(folder / "text.sqlite").error().code == Code::malformed);
}

TEST_CASE("queries beside a running writer and with everything stopped") {
  Bench bench;
  fill(bench);
  Queries during = bench.queries();
  CHECK(during.totals({})->requests == 6);
  bench.queue.push(sample_call());
  REQUIRE(bench.writer->flush(kLong));
  CHECK(during.totals({})->requests == 7);
  {
    // A writer that is in the middle of a transaction does not disturb.
    SQLite::Database other(bench.options.database.string(), SQLite::OPEN_READWRITE, 5000);
    SQLite::Transaction lock(other, SQLite::TransactionBehavior::IMMEDIATE);
    CHECK(during.totals({})->requests == 7);
  }
  during = bench.queries();
  bench.writer->stop();
  {
    Queries moved = std::move(during);
  }
  // The reader was the last and could not tidy up: rows are in the -wal, and the -shm may be gone.
  std::filesystem::remove(bench.options.database.string() + "-shm");
  Queries after = bench.queries();
  CHECK(after.totals({})->requests == 7);
}

TEST_CASE("a query never writes") {
  Bench bench;
  fill(bench);
  bench.writer->stop();
  const auto before = std::filesystem::last_write_time(bench.options.database);
  bench.queries().totals({}).value();
  CHECK(std::filesystem::last_write_time(bench.options.database) == before);
}

// Nothing but the rows of the period is read, and nothing is sorted: a short period of a long
// history is answered at once, whatever else is asked for.
TEST_CASE("a filter is answered from the index of times") {
  Bench bench;
  fill(bench);
  SQLite::Database db(bench.options.database.string(), SQLite::OPEN_READONLY);
  Filter filter;
  filter.since_us = kNoon;
  const auto plan = [&](const std::string& order) {
    const Where where(filter);
    SQLite::Statement row(
        db, std::string("EXPLAIN QUERY PLAN SELECT r.provider") + kFrom + where.sql() + order);
    where.bind(row);
    std::string text;
    while (row.executeStep()) text += row.getColumn(3).getString() + "\n";
    return text;
  };
  const auto check = [&](const char* index) {
    for (const char* order : {"", " ORDER BY r.requested_at DESC"}) {
      const std::string text = plan(order);
      INFO(text);
      CHECK(text.find(index) != std::string::npos);
      CHECK(text.find("requested_at>") != std::string::npos);
      CHECK(text.find("TEMP B-TREE") == std::string::npos);
    }
  };
  check("requests_requested_at");
  filter.provider = "anthropic";
  check("requests_requested_at");
  filter.model = "claude-sonnet-5";
  check("requests_requested_at");
  filter.provider.clear();
  check("requests_requested_at");
  filter.project = "alpha";
  check("requests_project");
}
