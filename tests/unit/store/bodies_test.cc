#include "interceptor/store/bodies.h"

#include "tests/unit/store/fixture.h"

using namespace hm;
using namespace hm::store;

namespace {

constexpr int64_t kDay = int64_t{86'400} * 1'000'000;

// `count` calls of a project, each with a request and a response body of 1000 bytes.
void fill(Bench& bench, const char* project, int count, int64_t at_us) {
  for (int i = 0; i < count; ++i) {
    CallRecord r = sample_call(at_us);
    r.attribution.project = project;
    const std::string id = r.id;
    bench.queue.push(std::move(r));
    REQUIRE(bench.writer->flush(kLong));
    SQLite::Database db(bench.options.database.string(), SQLite::OPEN_READWRITE, 5000);
    for (const char* direction : {"request", "response"}) {
      SQLite::Statement row(db,
                            "INSERT INTO request_bodies (request_id, direction, body, "
                            "original_bytes, truncated, redactions, created_at) VALUES (?, ?, "
                            "zeroblob(1000), 5000, 1, 2, ?)");
      row.bind(1, id);
      row.bind(2, direction);
      row.bind(3, iso8601_utc(at_us));
      row.exec();
    }
  }
}

}  // namespace

TEST_CASE("bodies: no database, an empty table") {
  Bench bench;
  CHECK(body_stats(bench.options.database).error().code == Code::not_found);
  CHECK(purge_bodies(bench.options.database, {}, false).error().code == Code::not_found);
  bench.start();
  const BodyStats stats = body_stats(bench.options.database).value();
  CHECK(stats.groups.empty());
  CHECK_FALSE(stats.oldest_us.has_value());
  CHECK(stats.database_bytes > 0);
  CHECK(purge_bodies(bench.options.database, {}, false).value().count == 0);
  CHECK(vacuum(bench.options.database));
}

TEST_CASE("bodies are counted, and removed beside a running writer; rows stay") {
  Bench bench;
  bench.start();
  fill(bench, "alpha", 3, kNoon);
  fill(bench, "beta", 150, kNoon + 10 * kDay);
  BodyStats stats = body_stats(bench.options.database).value();
  REQUIRE(stats.groups.size() == 4);
  CHECK(stats.groups[0].project == "alpha");
  CHECK(stats.groups[0].direction == "request");
  CHECK(stats.groups[0].count == 3);
  CHECK(stats.groups[0].bytes == 3000);
  CHECK(stats.groups[0].original_bytes == 15'000);
  CHECK(stats.groups[0].truncated == 3);
  CHECK(stats.groups[0].redactions == 6);
  CHECK(stats.oldest_us == kNoon);
  CHECK(stats.newest_us == kNoon + 10 * kDay);

  const auto& file = bench.options.database;
  PurgedBodies purged = purge_bodies(file, kNoon + kDay, true).value();
  CHECK(purged.count == 6);
  CHECK(purged.bytes == 6000);
  CHECK(body_stats(file).value().groups.size() == 4);
  CHECK(purge_bodies(file, kNoon + kDay, false).value().count == 6);
  CHECK(body_stats(file).value().groups.size() == 2);
  purged = purge_bodies(file, {}, false).value();
  CHECK(purged.count == 300);
  CHECK(purged.bytes == 300'000);
  CHECK(bench.number("SELECT count(*) FROM requests") == 153);
  CHECK(body_stats(file).value().free_bytes > 0);
  CHECK(vacuum(file));
  CHECK(body_stats(file).value().free_bytes == 0);
  bench.queue.push(sample_call(kNoon));  // the writer goes on
  CHECK(bench.writer->flush(kLong));
}

TEST_CASE("rows of the self-test are there, and nobody's calls") {
  Bench bench;
  bench.start();
  CallRecord r = sample_call(kNoon);
  r.provider = "halton-meter";
  r.provider_request_id = "id-1";
  bench.queue.push(std::move(r));
  REQUIRE(bench.writer->flush(kLong));
  Queries queries = bench.queries();
  CHECK(queries.holds_request("id-1", kNoon).value());
  CHECK_FALSE(queries.holds_request("id-1", kNoon + 1).value());
  CHECK_FALSE(queries.holds_request("id-2", kNoon).value());
  CHECK(queries.totals({}).value().requests == 0);
  CHECK(queries.by(GroupBy::project, {}).value().empty());
  CHECK(queries.recent({}, 10).value().empty());
  CHECK(queries.metered_share({}).value().metered == 0);
  CHECK_FALSE(queries.last_capture_us().value().has_value());
  CHECK(queries.unpriced_models({}).value().empty());
  const auto projects = queries.projects().value();
  for (const Project& project : projects) CHECK(project.requests == 0);
  Filter only;
  only.provider = "halton-meter";
  CHECK(queries.totals(only).value().requests == 1);
}
