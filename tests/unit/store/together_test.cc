// Rows that go in with few statements are those that a statement each would have made.
#include <catch2/catch.hpp>
#include <deque>

#include "interceptor/store/database.h"
#include "interceptor/store/row_writer.h"
#include "tests/unit/store/fixture.h"

namespace hm::store {
namespace {

// A database in a folder of its own, without the writer's threads.
struct Table {
  Table() : db(opened(folder / "db.sqlite")), rows(std::make_unique<RowWriter>(*db)) {}
  ~Table() { rows.reset(); }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  static std::unique_ptr<SQLite::Database> opened(const std::filesystem::path& path) {
    auto made = open_database(path, milliseconds(100), system_clock());
    REQUIRE(made);
    return std::move(made->db);
  }
  template <class Work>
  void transaction(Work work) {
    SQLite::Transaction transaction(*db, SQLite::TransactionBehavior::IMMEDIATE);
    rows->begin();
    work();
    transaction.commit();
  }
  void together(const std::deque<CallRecord>& calls) {
    transaction(
        [&] { rows->write_together(calls, 0, calls.size(), pricing::RateCard::bundled()); });
  }
  void one_by_one(const std::deque<CallRecord>& calls) {
    transaction([&] {
      for (const CallRecord& call : calls) rows->write(call, pricing::RateCard::bundled());
    });
  }
  int64_t number(const std::string& sql) { return db->execAndGet(sql).getInt64(); }

  // All that a query says, types included.
  std::vector<std::string> all(const std::string& sql) {
    std::vector<std::string> lines;
    SQLite::Statement row(*db, sql);
    while (row.executeStep()) {
      std::string& line = lines.emplace_back();
      for (int i = 0; i < row.getColumnCount(); ++i)
        line +=
            std::to_string(row.getColumn(i).getType()) + ":" + row.getColumn(i).getString() + "|";
    }
    return lines;
  }

  TempFolder folder;
  std::unique_ptr<SQLite::Database> db;
  std::unique_ptr<RowWriter> rows;
};

// One of each kind: what is null, what is not UTF-8, what has children, what has no price.
std::deque<CallRecord> all_kinds() {
  std::deque<CallRecord> calls(9, sample_call());
  for (CallRecord& call : calls) call.id = unique_id();
  calls[1].model = calls[1].requested_model = "nobody-knows-it";
  calls[2].http_status.reset();
  calls[2].tokens_complete = false;
  calls[2].usage = {};
  calls[2].status = CallStatus::cancelled;
  calls[2].requested_model.clear();
  calls[3].attribution.project =
      "gr\xc3\xbc\xc3\x9f"
      "e";
  calls[3].attribution.cwd =
      "/not\xff"
      "utf8";
  calls[3].attribution.client_pid = 4711;
  calls[3].session_id = std::string("nul\0inside", 10);
  calls[4].tool_calls = {{"web_search", 2}, {"web_search", 1}, {"code_execution", 1}};
  calls[4].rate_limits = {{"x-left", "7", kNoon}, {"x-left", "6", std::nullopt}};
  calls[4].extra_usage = {
      {"advisor_message", "claude-haiku-4-5", {.input_tokens = 5, .parts = {}}}};
  calls[4].usage.parts = {{"input_audio", 10}};
  calls[5].billing = "subscription";
  calls[5].retry_after_s = 1.5;
  calls[5].ttfb_us = 3;
  calls[5].client_retry = 1;
  calls[5].key_print = "0123456789abcdef";
  calls[6].provider_cost_pico_usd = 17;
  calls[6].response_id = "msg_1";
  calls[7].iterations = {calls[7].usage, {}};
  calls[7].service_tier = "priority";
  calls[7].attribution.project = "";
  calls[8].requested_at_us = kNoon + 1;
  calls[8].response_id = "msg_1";
  calls[8].bytes_up = 0;  // the seventh, seen again
  calls[8].usage.output_tokens = 200;
  return calls;
}

}  // namespace

TEST_CASE("many rows at once are the rows of a statement each") {
  const std::deque<CallRecord> calls = all_kinds();
  Table many, single;
  many.together(calls);
  single.one_by_one(calls);
  CHECK(many.number("SELECT count(*) FROM requests") == 8);
  CHECK(many.number("SELECT output_tokens FROM requests WHERE response_id = 'msg_1'") == 200);
  // The ids of projects are made up.
  CHECK(many.all("SELECT slug, created_at FROM projects ORDER BY 1") ==
        single.all("SELECT slug, created_at FROM projects ORDER BY 1"));
  const std::string slugs =
      "SELECT r.id, slug FROM requests r JOIN projects p ON p.id = project_id "
      "ORDER BY 1";
  CHECK(many.all(slugs) == single.all(slugs));
  many.db->exec("UPDATE requests SET project_id = ''");
  single.db->exec("UPDATE requests SET project_id = ''");
  for (const std::string table :
       {"requests", "request_cost_lines", "request_price_flags", "request_extra_usage",
        "request_tool_calls", "request_usage_parts", "request_rate_limits", "request_iterations"}) {
    CAPTURE(table);
    const auto said = many.all("SELECT * FROM " + table + " ORDER BY 1, 2");
    CHECK_FALSE(said.empty());
    CHECK(said == single.all("SELECT * FROM " + table + " ORDER BY 1, 2"));
  }
  CHECK(many.all("PRAGMA integrity_check") == single.all("PRAGMA integrity_check"));
}

TEST_CASE("a row that is in already undoes what went in with it") {
  Table table;
  std::deque<CallRecord> calls(3, sample_call());
  for (CallRecord& call : calls) call.id = unique_id();
  table.together({calls[1]});
  CHECK_THROWS_AS(table.together(calls), SQLite::Exception);
  CHECK(table.number("SELECT count(*) FROM requests") == 1);
  CHECK(table.number("SELECT count(*) FROM request_cost_lines") == 2);
  table.rows->forget();
  table.one_by_one(calls);
  CHECK(table.number("SELECT count(*) FROM requests") == 3);
  CHECK(table.number("SELECT count(*) FROM request_cost_lines") == 6);
}

TEST_CASE("more projects in one transaction than are remembered") {
  Table table;
  std::deque<CallRecord> calls;
  for (int i = 0; i < 3000; ++i) {
    calls.push_back(sample_call());
    calls.back().attribution.project = "project-" + std::to_string(i % 1500);
    calls.back().attribution.git_branch = calls.back().attribution.project;
  }
  table.together(calls);
  CHECK(table.number("SELECT count(*) FROM projects") == 1500);
  CHECK(table.number("SELECT count(*) FROM requests JOIN projects p ON p.id = project_id "
                     "WHERE git_branch = slug") == 3000);
}

TEST_CASE("calls that were counted as lost are taken back, as many as there are") {
  struct Case {
    int64_t lost, rows, left;
  };
  const auto [lost, rows, left] = GENERATE(Case{3, 0, 3}, Case{3, 1, 2}, Case{3, 2, 1},
                                           Case{3, 3, 0}, Case{1, 2, 0}, Case{2, 300, 0});
  CAPTURE(lost, rows);
  Table table;
  MissRecord miss = sample_miss("interceptor_lost", lost);
  miss.source = "flights-1";
  miss.sequence = 1;
  miss.call_id = "broken";
  MissRecord other = sample_miss("gate_closed", 5);
  other.source = "edge-1";
  other.sequence = 1;
  other.call_id = "another";
  table.transaction([&] {
    table.rows->write(miss);
    table.rows->write(other);
  });
  std::deque<CallRecord> calls;
  for (int64_t i = 0; i < rows + 10; ++i) {
    calls.push_back(sample_call());
    calls.back().call_id = i < rows ? "broken" : i % 2 == 0 ? "another" : "";
  }
  table.together(calls);
  CHECK(table.number("SELECT coalesce(sum(count), 0) FROM misses WHERE call_id = 'broken'") ==
        left);
  CHECK(table.number("SELECT sum(count) FROM misses WHERE call_id = 'another'") == 5);
}

TEST_CASE("one row of a batch breaks a rule: the others are in, it is a miss") {
  Bench bench;
  {
    const auto made = open_database(bench.options.database, milliseconds(100), system_clock());
  }
  {
    SQLite::Database db(bench.options.database.string(), SQLite::OPEN_READWRITE);
    db.exec(
        "CREATE TRIGGER rule BEFORE INSERT ON requests WHEN new.model = 'forbidden' "
        "BEGIN SELECT raise(ABORT, 'a rule'); END");
  }
  CallRecord bad = sample_call();
  bad.model = "forbidden";
  const CallRecord twice = sample_call();
  for (int i = 0; i < 400; ++i) {
    if (i == 300) bench.queue.push(CallRecord(bad));
    if (i % 200 == 0) bench.queue.push(CallRecord(twice));
    bench.queue.push(sample_call());
  }
  bench.start();
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 401);
  CHECK(bench.number("SELECT count(*) FROM request_cost_lines") == 802);
  CHECK(bench.number("SELECT count(*) FROM misses WHERE reason = 'row_rejected'") == 1);
}

}  // namespace hm::store
