// projects, export and top on a database with calls that end in every way: priced, unpriced,
// without usage, on a subscription, failed.
#include <SQLiteCpp/SQLiteCpp.h>

#include <catch2/catch.hpp>

#include "cli/export_row.h"
#include "cli/top.h"
#include "tests/unit/cli/cli_fixture.h"
#include "tests/unit/store/fixture.h"

using namespace hm::cli;
using hm::store::kNoon;

namespace {

constexpr int64_t kMinuteUs = int64_t{60} * 1'000'000;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

struct CallsFixture : CliFixture {
  CallsFixture() {
    context.clock = &clock;
    context.environment["TZ"] = "UTC";
  }
  // Minutes before now, and what is special about it.
  void call(int64_t minutes_ago, const char* project,
            const std::function<void(hm::CallRecord&)>& change = {}) {
    hm::CallRecord record = hm::store::sample_call(kNoon - minutes_ago * kMinuteUs);
    record.attribution.project = project;
    if (change) change(record);
    bench.queue.push(std::move(record));
  }
  void fill() {
    bench.start();
    call(60 * 24 * 3, "shop");
    call(30, "shop",
         [](hm::CallRecord& r) { r.model = r.requested_model = "claude-unheard-of-9"; });
    call(3, "blog", [](hm::CallRecord& r) {
      r.status = hm::CallStatus::cancelled;
      r.tokens_complete = false;
      r.usage = {};
    });
    call(2, "shop, \"the\" new", [](hm::CallRecord& r) { r.host = "=host\r\n2"; });
    hm::MissRecord miss = hm::store::sample_miss("gate_closed", 2);
    miss.at_us = kNoon - 2 * kMinuteUs;
    bench.queue.push(std::move(miss));
    keep();
  }
  void keep() {
    REQUIRE(bench.writer->flush(hm::store::kLong));
    bench.writer.reset();
    std::filesystem::create_directories(context.home.root());
    std::filesystem::copy_file(bench.options.database, context.home.database());
  }

  hm::ManualClock clock{kNoon};
  hm::store::Bench bench;
};

}  // namespace

TEST_CASE_METHOD(CliFixture, "projects, export and top without a database", "[lists]") {
  CHECK(run({"projects"}) == 0);
  CHECK(holds(out.str(), "halton-meter run -- COMMAND"));
  CHECK(run({"projects", "--json"}) == 0);
  CHECK(holds(out.str(), "\"projects\": []"));
  CHECK(run({"top"}) == 0);
  CHECK(holds(out.str(), "the interceptor does not run"));
  CHECK(run({"top", "--json"}) == 0);
  CHECK(holds(out.str(), "\"open_connections\": null"));
  CHECK(run({"export", "--json"}) == 0);
  CHECK(out.str().empty());
  CHECK(run({"export"}) == 0);
  CHECK(out.str() == export_csv_header());
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"export", "--json", "--csv"},
                                             {"export", "--since", "soon"},
                                             {"export", "--project", "a b"},
                                             {"projects", "--from", "soon"},
                                             {"projects", "extra"},
                                             {"top", "--calls", "0"},
                                             {"top", "--calls", "many"},
                                             {"top", "--project", "a b"}})
    CHECK(run(words) == 2);
  std::filesystem::create_directories(context.home.root());
  REQUIRE(hm::replace_file(context.home.database(), std::string(9000, 'x')));
  for (const char* command : {"projects", "export", "top"}) {
    CHECK(run({command}) == 1);
    CHECK(holds(err.str(), "What to do: halton-meter doctor"));
  }
}

TEST_CASE_METHOD(CliFixture, "a database that cannot be reached is not an empty one", "[lists]") {
  std::filesystem::create_directories(context.home.database());
  const auto refused = [&](const std::vector<std::string>& words) {
    INFO(words[0]);
    CHECK(run(words) == kEnvironment);
    CHECK(holds(err.str(), "is a directory"));
    CHECK_FALSE(holds(err.str(), "store."));
    CHECK(holds(err.str(), "What to do: halton-meter doctor"));
  };
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"report"},
                                             {"report", "--json"},
                                             {"report", "--explain", "x"},
                                             {"projects"},
                                             {"top"},
                                             {"export"},
                                             {"pricing", "unpriced"},
                                             {"pricing", "reprice"},
                                             {"bodies", "stats"},
                                             {"bodies", "purge"}})
    refused(words);
  CHECK(run({"status"}) == kNotWell);
  CHECK(holds(out.str(), "unreadable"));
}

TEST_CASE_METHOD(CallsFixture, "projects: calls, cost, last call; of a period", "[lists]") {
  fill();
  REQUIRE(run({"projects"}) == 0);
  INFO(out.str());
  CHECK(holds(out.str(), "shop "));
  CHECK(holds(out.str(), ">= $0.003000"));  // one of them has no price
  CHECK(holds(out.str(), "30 min ago"));
  REQUIRE(run({"projects", "--json"}) == 0);
  INFO(out.str());
  CHECK(count(out.str(), "\"slug\":") == 3);
  CHECK(holds(out.str(), "\"cost_pico_usd\": 3000000000,"));
  CHECK(holds(out.str(), "\"cost_is_lower_bound\": true"));
  CHECK(holds(out.str(), "\"last_call\": \"2026-11-15T11:30:00.000000Z\""));
  REQUIRE(run({"projects", "--since", "5m", "--json"}) == 0);
  CHECK(count(out.str(), "\"slug\":") == 2);
  CHECK_FALSE(holds(out.str(), "\"slug\": \"shop\""));
  REQUIRE(run({"projects", "--since", "30s"}) == 0);
  CHECK(out.str() == "No calls in this period.\n");
}

TEST_CASE_METHOD(CallsFixture, "export: every row once, no price is not zero", "[lists]") {
  fill();
  REQUIRE(run({"export"}) == 0);
  const std::string csv = out.str();
  INFO(csv);
  CHECK(csv.starts_with("id,requested_at,project,provider,host,model,"));
  CHECK(count(csv, "2026-11-1") == 4);
  CHECK(csv.find("2026-11-12T12:00:00.000000Z") < csv.find("2026-11-15T11:30:00.000000Z"));
  CHECK(holds(csv, ",3000000000,0.003,,,"));
  CHECK(holds(csv, ",,,,,unknown_model,"));
  CHECK(holds(csv, "\"shop, \"\"the\"\" new\""));
  CHECK(holds(csv, "\"'=host\r\n2\""));  // no formula for a spreadsheet, no second row
  CHECK(run({"export", "--since", "5m"}) == 0);
  CHECK(count(out.str(), "2026-11-1") == 2);
  CHECK(run({"export", "--project", "shop"}) == 0);
  CHECK(count(out.str(), "2026-11-1") == 2);
  CHECK(run({"export", "--run", "none"}) == 0);
  CHECK(out.str() == export_csv_header());

  REQUIRE(run({"export", "--json", "--since", "1h"}) == 0);
  const std::string lines = out.str();
  INFO(lines);
  CHECK(count(lines, "\n") == 3);
  CHECK(count(lines, "{\"id\":\"row-") == 3);
  CHECK(holds(lines, "\"cost_pico_usd\":null,\"cost_usd\":null,"));
  CHECK(holds(lines, "\"cost_pico_usd\":3000000000,\"cost_usd\":\"0.003\","));
  CHECK(holds(lines, "\"tokens_complete\":false,\"incomplete_reason\":"));
  CHECK(holds(lines, "\"host\":\"=host\\r\\n2\""));
}

TEST_CASE_METHOD(CallsFixture, "report --explain: a beginning that many ids have in common",
                 "[lists]") {
  bench.start();
  for (int i = 0; i < 13; ++i)
    call(i, "shop", [&](hm::CallRecord& r) { r.id = "many-" + std::to_string(i); });
  keep();
  CHECK(run({"report", "--explain", "many"}) == kNotWell);
  CHECK(err.str().find("many-0\n") < err.str().find("many-9\n"));
  CHECK(holds(err.str(), "  and 3 more\nWhat to do: "));
}

TEST_CASE_METHOD(CallsFixture, "top: the last minutes and the last calls", "[lists]") {
  fill();
  REQUIRE(run({"top"}) == 0);  // no terminal: one look
  const std::string text = out.str();
  INFO(text);
  CHECK_FALSE(holds(text, "\x1b"));
  for (const char* part : {"last minute ", "last 5 minutes ", "last hour ", "claude-unheard-of-9",
                           "unpriced", "cancelled", ">= $0.003000"})
    CHECK(holds(text, part));
  CHECK(text.find("2 min ago") < text.find("3 min ago"));
  CHECK(run({"top", "--calls", "1"}) == 0);
  CHECK(holds(out.str(), "2 min ago"));
  CHECK_FALSE(holds(out.str(), "3 min ago"));

  REQUIRE(run({"top", "--json", "--project", "shop"}) == 0);
  INFO(out.str());
  CHECK(count(out.str(), "\"minutes\":") == 3);
  CHECK(count(out.str(), "\"missed\": 2") == 2);
  CHECK(count(out.str(), "\"missed\": 0") == 1);
  CHECK(count(out.str(), "\"project\":\"shop\"") == 2);
  CHECK_FALSE(holds(out.str(), "blog"));
}

TEST_CASE("top: what is not known is not shown as zero", "[lists]") {
  TopFacts facts;
  facts.now_us = kNoon;
  facts.open_calls = 3;
  facts.windows = {{1, {}, 0}};
  facts.calls.resize(3);
  for (hm::store::RequestRow& call : facts.calls) call.requested_at_us = kNoon - kMinuteUs;
  facts.calls[0].unpriced_reason = "no_usage";
  facts.calls[0].status = "error";
  facts.calls[0].error_kind = "quota\x1b[2J";
  facts.calls[1].input_tokens = 1234;
  facts.calls[1].tokens_complete = false;
  facts.calls[1].shadow_cost_pico_usd = 5'000'000'000;
  facts.calls[1].model = "m1";
  facts.calls[2].tokens_complete = true;
  facts.calls[2].status = "success";
  facts.calls[2].cost_pico_usd = 0;
  const std::string text = top_text(facts, Context{});
  INFO(text);
  CHECK(holds(text, "3 connections open"));
  CHECK(holds(text, ">= 1,234"));
  CHECK(holds(text, "$0.005000 shadow"));
  CHECK(holds(text, "$0.000000"));
  CHECK(holds(text, "error quota?[2J"));
  CHECK_FALSE(holds(text, "\x1b"));
}
