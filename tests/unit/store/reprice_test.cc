#include "interceptor/store/reprice.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "interceptor/store/price_book.h"
#include "interceptor/store/schema.h"
#include "tests/unit/store/fixture.h"

using namespace hm;
using namespace hm::store;

namespace {

pricing::RateCard with(const char* overrides) {
  auto card = pricing::RateCard::bundled().with_overrides(overrides);
  REQUIRE(card);
  return std::move(*card);
}

// Sonnet 5 at 4 / 20 in place of 2 / 10, and a model that the bundled card does not know.
constexpr const char* kDearer = R"({"models": [
  {"provider": "anthropic", "model": "claude-sonnet-5",
   "periods": [{"rates": {"input": "4", "output": "20"}}]},
  {"provider": "anthropic", "model": "house-1",
   "periods": [{"rates": {"input": "1", "output": "2"}}]}]})";
constexpr int64_t kBefore = 3'000'000'000, kAfter = 6'000'000'000;

struct RepriceBench : Bench {
  RepriceBench() { start(); }
  void push(CallRecord record) {
    REQUIRE(queue.push(std::move(record)));
    REQUIRE(writer->flush(kLong));
  }
  RepriceOutcome run(const pricing::RateCard& card, bool dry_run = false,
                     std::optional<int64_t> since = {}) {
    RepriceOptions how;
    how.database = options.database;
    how.dry_run = dry_run;
    how.since_us = since;
    const auto done = reprice(how, card, system_clock());
    if (!done) UNSCOPED_INFO(describe(done.error()));
    REQUIRE(done);
    return *done;
  }
  ExplainedCall explained(const std::string& id) {
    auto book = PriceBook::open(options.database);
    REQUIRE(book);
    auto read = book->explain(id);
    REQUIRE(read);
    return std::move(*read);
  }
};

CallRecord call_of(const char* id, const char* model, int64_t at_us = kNoon) {
  CallRecord r = sample_call(at_us);
  r.id = id;
  r.model = r.requested_model = model;
  return r;
}

}  // namespace

TEST_CASE("repricing keeps the old figure beside the new, and says what moved") {
  RepriceBench bench;
  bench.push(call_of("known", "claude-sonnet-5"));
  bench.push(call_of("new", "house-1"));
  bench.push(call_of("same", "claude-opus-4-8"));
  const auto card = with(kDearer);

  SECTION("a dry run changes nothing") {
    const RepriceOutcome would = bench.run(card, true);
    CHECK(would.looked_at == 3);
    CHECK(would.moved == 2);
    CHECK(bench.number("SELECT count(*) FROM request_price_history") == 0);
    CHECK(bench.number("SELECT cost_pico_usd FROM requests WHERE id = 'known'") == kBefore);
    CHECK(bench.number("SELECT count(*) FROM pricing_rates WHERE model = 'house-1'") == 0);
  }
  SECTION("for good") {
    const RepriceOutcome done = bench.run(card);
    CHECK(done.looked_at == 3);
    CHECK(done.moved == 2);
    REQUIRE(done.models.size() == 2);
    CHECK(done.models[0].model == "house-1");  // what had no price comes first
    CHECK(done.models[0].newly_priced == 1);
    CHECK(done.models[0].cost_after == PicoUsd(1'200'000'000));
    CHECK(done.models[1].cost_before == PicoUsd(kBefore));
    CHECK(done.models[1].cost_after == PicoUsd(kAfter));

    CHECK(bench.number("SELECT cost_pico_usd FROM requests WHERE id = 'known'") == kAfter);
    CHECK(bench.number("SELECT cost_usd_minor_units FROM requests WHERE id = 'known'") == 600);
    CHECK(bench.text("SELECT rates_source FROM requests WHERE id = 'known'") == "override");
    CHECK(bench.number("SELECT cost_pico_usd FROM request_price_history WHERE request_id = "
                       "'known'") == kBefore);
    CHECK(bench.number("SELECT count(*) FROM pricing_rates WHERE model = 'house-1'") > 0);
    CHECK(bench.number("SELECT count(*) FROM request_price_history WHERE request_id = 'same'") ==
          0);

    const ExplainedCall known = bench.explained("known");
    CHECK(known.call.price.cost_pico_usd == kAfter);
    CHECK(known.call.price.card_id == card.id());
    REQUIRE(known.call.price.lines.size() == 2);
    CHECK(known.call.price.lines[0].rate_pico_usd == 4'000'000);
    REQUIRE(known.past.size() == 1);
    CHECK(known.past[0].price.cost_pico_usd == kBefore);
    CHECK(known.past[0].price.rates_source == "bundled-2026-11-23");
    CHECK(known.past[0].replaced_at_us > 0);
    REQUIRE(known.past[0].price.lines.size() == 2);
    CHECK(known.past[0].price.lines[0].rate_pico_usd == 2'000'000);
    CHECK(bench.explained("new").past[0].price.reason == "unknown_model");

    // Again with the same card: nothing moves. Back: two old figures, in their order.
    CHECK(bench.run(card).moved == 0);
    CHECK(bench.run(pricing::RateCard::bundled()).moved == 2);
    const ExplainedCall back = bench.explained("known");
    CHECK(back.call.price.cost_pico_usd == kBefore);
    REQUIRE(back.past.size() == 2);
    CHECK(back.past[0].price.cost_pico_usd == kBefore);
    CHECK(back.past[1].price.cost_pico_usd == kAfter);
    CHECK_FALSE(bench.explained("new").call.price.cost_pico_usd);
    auto queries = bench.queries();
    CHECK(queries.totals({})->unpriced == 1);
  }
  SECTION("since a moment only") {
    bench.push(call_of("later", "claude-sonnet-5", kNoon + 1'000'000));
    const RepriceOutcome done = bench.run(card, false, kNoon + 1);
    CHECK(done.looked_at == 1);
    CHECK(bench.number("SELECT cost_pico_usd FROM requests WHERE id = 'later'") == kAfter);
    CHECK(bench.number("SELECT cost_pico_usd FROM requests WHERE id = 'known'") == kBefore);
  }
  SECTION("with everything stopped") {
    bench.writer->stop();
    CHECK(bench.run(card).moved == 2);
    CHECK_FALSE(std::filesystem::exists(bench.options.database.string() + "-wal"));
    CHECK(bench.text("PRAGMA integrity_check") == "ok");
  }
  SECTION("history goes with its request") {
    bench.run(card);
    {
      SQLite::Database db(bench.options.database.string(), SQLite::OPEN_READWRITE, 1000);
      db.exec("PRAGMA foreign_keys = ON");
      db.exec("DELETE FROM requests WHERE id = 'known'");
    }
    CHECK(bench.number("SELECT count(*) FROM request_price_history WHERE request_id = 'known'") ==
          0);
    CHECK(bench.number(
              "SELECT count(*) FROM request_price_history_lines WHERE request_id = 'known'") == 0);
  }
}

TEST_CASE("everything that a price depends on is read back") {
  RepriceBench bench;
  std::vector<CallRecord> calls;
  const auto add = [&](const char* id, const char* provider, const char* model) -> CallRecord& {
    CallRecord r = call_of(id, model);
    r.provider = r.rate_namespace = provider;
    calls.push_back(std::move(r));
    return calls.back();
  };
  calls.reserve(32);
  add("geo", "anthropic", "claude-opus-5-5").geo = "us";
  add("batch", "anthropic", "claude-opus-5-5").service_tier = "batch";
  add("batch-mode", "openai", "gpt-5.5").mode = "batch";
  add("fast", "openai", "gpt-5.5").service_tier = "priority";
  add("tools", "anthropic", "claude-opus-5-5").tool_calls = {{"web_search", 3}, {"web_fetch", 1}};
  CallRecord& writes = add("writes", "openai", "gpt-6.1-terra");
  writes.usage.cache_write_5m_tokens = 50;
  writes.usage.parts = {{"cache_write_12h", 50}};
  writes.cache_lifetime = "12h";
  CallRecord& audio = add("audio", "gemini", "gemini-2.5-flash");
  audio.usage.cache_read_tokens = 10;
  audio.usage.parts = {{"input_audio", 400}, {"cache_read_audio", 10}};
  CallRecord& extra = add("extra", "anthropic", "claude-sonnet-5");
  extra.extra_usage = {{"advisor_message", "claude-opus-4-8", {}}};
  extra.extra_usage[0].usage.output_tokens = 7;
  extra.extra_usage[0].usage.parts = {};
  CallRecord& iterations = add("iterations", "anthropic", "claude-haiku-5-5");
  iterations.usage.input_tokens = 120'000;
  iterations.iterations = {{60'000, 0, 0, 0, 40, 0, {}}, {60'000, 0, 0, 0, 60, 0, {}}};
  CallRecord& shadow = add("shadow", "openai", "gpt-5.5");
  shadow.billing = "subscription";
  CallRecord& billed = add("billed", "xai", "grok-4.3");
  billed.provider_cost_pico_usd = 42;
  add("only-billed", "xai", "grok-unheard-of").provider_cost_pico_usd = 43;
  CallRecord& doubt = add("doubt", "gemini", "gemini-2.5-flash");
  doubt.usage.parts = {{"input_audio", 400}};
  doubt.bucket_doubt = "cached_modality";
  CallRecord& quiet = add("quiet-doubt", "gemini", "gemini-3.6-flash");
  quiet.usage.parts = {{"input_audio", 400}};
  quiet.bucket_doubt = "cached_modality";
  add("credit", "anthropic", "claude-sonnet-5").bucket_doubt = "fallback_credit";
  add("minutes", "openai", "whisper-1").bucket_doubt = "per_minute";
  CallRecord& speech = add("speech", "openai", "whisper-1");
  speech.usage = {};
  speech.tool_calls = {{"audio_seconds", 94}};
  CallRecord& nothing = add("nothing", "openai", "gpt-5.5");
  nothing.usage = {};
  nothing.tokens_complete = false;
  CallRecord& failed = add("failed", "openai", "gpt-5.5");
  failed.usage = {};
  failed.status = CallStatus::error;
  failed.http_status = 500;
  CallRecord& counted = add("counted", "anthropic", "claude-unheard-of");
  counted.usage = {};
  counted.counted_tokens = 10;
  CallRecord& image = add("image", "openai", "dall-e-3");
  image.usage = {};
  image.request_kind = "image";
  add("regional", "openai", "gpt-5.5").host = "eu.api.openai.com";
  add("unknown", "openai", "gpt-unheard-of");
  CallRecord& other = add("configured", "house", "gpt-5.5");
  other.rate_namespace = "openai";

  const auto& card = pricing::RateCard::bundled();
  std::map<std::string, pricing::PriceResult> expected;
  for (const CallRecord& r : calls) expected[r.id] = pricing::price(card, r);
  for (CallRecord& r : calls) bench.push(r);
  CHECK(bench.run(card).moved == 0);  // read back and priced again, each comes to the same
  CHECK(bench.run(card).looked_at == static_cast<int64_t>(calls.size()));
  for (const auto& [id, expected_price] : expected) {
    INFO(id);
    auto stored = bench.explained(id).call.price;
    auto price = expected_price;
    for (auto* lines : {&stored.lines, &price.lines})
      std::sort(lines->begin(), lines->end(),
                [](const auto& a, const auto& b) { return a.bucket < b.bucket; });
    CHECK(stored.state == price.state);
    CHECK(stored.cost_pico_usd == price.cost_pico_usd);
    CHECK(stored.shadow_cost_pico_usd == price.shadow_cost_pico_usd);
    CHECK(stored.reason == price.reason);
    CHECK(stored.pico_usd == price.pico_usd);
    CHECK(stored.tier == price.tier);
    CHECK(stored.geo == price.geo);
    CHECK(stored.long_context == price.long_context);
    CHECK(stored.entry == price.entry);
    REQUIRE(stored.lines.size() == price.lines.size());
    for (size_t i = 0; i < price.lines.size(); ++i) {
      CHECK(stored.lines[i].bucket == price.lines[i].bucket);
      CHECK(stored.lines[i].list_rate_pico_usd == price.lines[i].list_rate_pico_usd);
      CHECK(stored.lines[i].multiplier == price.lines[i].multiplier);
    }
  }
}

TEST_CASE("repricing beside a busy writer") {
  RepriceBench bench;
  constexpr int kOld = 3000, kNew = 3000;
  for (int i = 0; i < kOld; ++i) REQUIRE(bench.queue.push(sample_call(kNoon - i)));
  REQUIRE(bench.writer->flush(kLong));
  std::atomic<bool> stop{false};
  int64_t pushed = 0;
  std::thread live([&] {
    while (pushed < kNew || !stop) {
      if (pushed < kNew && bench.queue.push(sample_call(kNoon + 1'000'000 + pushed))) ++pushed;
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  const RepriceOutcome done = bench.run(with(kDearer));
  stop = true;
  live.join();
  REQUIRE(bench.writer->flush(kLong));
  CHECK(done.moved >= kOld);
  CHECK(bench.number("SELECT count(*) FROM requests") == kOld + kNew);
  CHECK(bench.number("SELECT count(*) FROM request_price_history") == done.moved);
  CHECK(bench.number("SELECT count(*) FROM requests WHERE cost_pico_usd = 6000000000") ==
        done.moved);
  CHECK(bench.number("SELECT count(*) FROM requests WHERE cost_pico_usd NOT IN (3000000000, "
                     "6000000000) OR cost_pico_usd IS NULL") == 0);
  CHECK(bench.writer->status().dropped == 0);
  CHECK(bench.text("PRAGMA integrity_check") == "ok");
}

TEST_CASE("a database that stays locked is told, and not waited for without end") {
  RepriceBench bench;
  bench.push(call_of("known", "claude-sonnet-5"));
  SQLite::Database other(bench.options.database.string(), SQLite::OPEN_READWRITE, 0);
  SQLite::Transaction lock(other, SQLite::TransactionBehavior::IMMEDIATE);
  RepriceOptions how;
  how.database = bench.options.database;
  how.busy_timeout = milliseconds(10);
  how.patience = milliseconds(100);
  const auto done = reprice(how, with(kDearer), system_clock());
  REQUIRE_FALSE(done);
  CHECK(done.error().code == Code::busy);
  how.dry_run = true;  // looks without any lock
  CHECK(reprice(how, with(kDearer), system_clock())->moved == 1);
}

TEST_CASE("what cannot be repriced") {
  TempFolder folder;
  RepriceOptions how;
  how.database = folder / "db.sqlite";
  const auto none = reprice(how, pricing::RateCard::bundled(), system_clock());
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::not_found);
  CHECK_FALSE(std::filesystem::exists(how.database));  // and nothing is made
  {
    SQLite::Database other(how.database.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE t (x)");
  }
  const auto strange = reprice(how, pricing::RateCard::bundled(), system_clock());
  REQUIRE_FALSE(strange);
  CHECK(strange.error().code == Code::malformed);
  RepriceBench bench;
  {
    SQLite::Database db(bench.options.database.string(), SQLite::OPEN_READWRITE, 1000);
    db.exec("INSERT INTO _migrations VALUES (9999, 'of tomorrow', '')");
  }
  how.database = bench.options.database;
  const auto newer = reprice(how, pricing::RateCard::bundled(), system_clock());
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == Code::refused);
}

TEST_CASE("a database of the first schema is read, migrated and repriced") {
  Bench bench;
  {
    const auto first = migrations().front();
    SQLite::Database db(bench.options.database.string(),
                        SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    db.exec(
        "CREATE TABLE _migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at "
        "TEXT NOT NULL) STRICT");
    db.exec(first.sql);
    db.exec("INSERT INTO _migrations VALUES (1, 'first tables', '')");
    db.exec("INSERT INTO projects VALUES ('p', 'misc', 'misc', '', NULL)");
    db.exec(
        "INSERT INTO requests (id, project_id, provider, host, model, endpoint, transport, "
        "input_tokens, output_tokens, tokens_complete, cost_pico_usd, rates_source, requested_at, "
        "status, schema_version) VALUES ('old', 'p', 'anthropic', 'api.anthropic.com', "
        "'claude-sonnet-5', 'messages', 'h1', 1000, 100, 1, 3000000000, 'bundled-2026-11-23', "
        "'2026-11-15T12:00:00.000000Z', 'success', 1)");
    db.exec(
        "INSERT INTO request_cost_lines VALUES ('old', 0, 'claude-sonnet-5', 'input', 0, 1000, "
        "2000000, 2000000000), ('old', 1, 'claude-sonnet-5', 'output', 0, 100, 10000000, "
        "1000000000)");
    db.exec(
        "INSERT INTO requests (id, project_id, provider, host, model, endpoint, transport, "
        "output_tokens, tokens_complete, unpriced_reason, requested_at, status, schema_version) "
        "VALUES ('doubt', 'p', 'openai', 'api.openai.com', 'whisper-1', 'audio.transcriptions', "
        "'h1', 1, 1, 'per_minute', '2026-11-15T12:00:00.000000Z', 'success', 1)");
  }
  {
    auto book = PriceBook::open(bench.options.database);
    REQUIRE(book);
    const auto old = book->explain("old");
    REQUIRE(old);
    CHECK(old->call.price.pico_usd == kBefore);
    CHECK(old->call.price.lines[0].list_rate_pico_usd == 2'000'000);
    CHECK(old->past.empty());
    CHECK(book->explain("doubt")->call.record.bucket_doubt == "per_minute");
    CHECK(book->notes({}));
  }
  RepriceOptions how;
  how.database = bench.options.database;
  CHECK(reprice(how, pricing::RateCard::bundled(), system_clock())->moved == 0);
  CHECK(bench.number("SELECT max(version) FROM _migrations") == kSchemaVersion);
  CHECK(reprice(how, with(kDearer), system_clock())->moved == 1);
  bench.start();  // and the writer goes on with it
  CHECK(bench.queue.push(sample_call()));
  REQUIRE(bench.writer->flush(kLong));
  CHECK(bench.number("SELECT count(*) FROM requests") == 3);
}

TEST_CASE("calls are found by their id, its beginning, and the provider's ids") {
  RepriceBench bench;
  CallRecord one = call_of("aaaa-1", "claude-sonnet-5"), two = call_of("aaaa-2", "claude-sonnet-5");
  one.provider_request_id = "req_1";
  two.response_id = "msg_2";
  bench.push(one);
  bench.push(two);
  // Nobody's call: to be found by its own id only.
  CallRecord self_test = call_of("aaaa-3", "claude-sonnet-5");
  self_test.provider = "halton-meter";
  bench.push(self_test);
  auto book = PriceBook::open(bench.options.database);
  REQUIRE(book);
  using Ids = std::vector<std::string>;
  CHECK(*book->find("aaaa-1") == Ids{"aaaa-1"});
  CHECK(book->find("aaaa")->size() == 2);
  CHECK(*book->find("aaaa-3") == Ids{"aaaa-3"});
  CHECK(book->find("aaaa", 1)->size() == 1);
  CHECK(*book->find("req_1") == Ids{"aaaa-1"});
  CHECK(*book->find("msg_2") == Ids{"aaaa-2"});
  CHECK(book->find("aaab")->empty());
  CHECK(book->find("%")->empty());
  CHECK(book->find("")->empty());
  CHECK(*book->beginning_with("aaaa") == 2);
  CHECK(*book->beginning_with("aaab") == 0);
  const auto none = book->explain("none");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::not_found);
}

TEST_CASE("notes on prices") {
  RepriceBench bench;
  bench.push(call_of("known", "claude-sonnet-5"));
  CallRecord billed = call_of("billed", "grok-4.3");
  billed.provider = billed.rate_namespace = "xai";
  billed.provider_cost_pico_usd = 1;
  bench.push(billed);
  bench.run(with(kDearer));
  auto book = PriceBook::open(bench.options.database);
  REQUIRE(book);
  const auto notes = book->notes({});
  REQUIRE(notes);
  const auto summary = Queries::open(bench.options.database)->summary({});
  REQUIRE(summary);
  CHECK(summary->sources == std::map<std::string, int64_t>{{"override", 1}, {"provider", 1}});
  CHECK(notes->flags == std::map<std::string, int64_t>{{"provider_cost_differs", 1}});
  CHECK(notes->repriced == 1);
  Filter later;
  later.since_us = kNoon + 1;
  CHECK(book->notes(later)->flags.empty());
  CHECK(book->notes(later)->repriced == 0);
}

TEST_CASE("a background answer keeps the lifetime that its first request asked for") {
  RepriceBench bench;
  CallRecord first = call_of("first", "gpt-6.1-terra");
  first.provider = first.rate_namespace = "openai";
  first.response_id = "resp_1";
  first.usage = {};
  first.tokens_complete = false;
  first.cache_lifetime = "12h";
  bench.push(first);
  CallRecord seen = call_of("seen", "gpt-6.1-terra");
  seen.provider = seen.rate_namespace = "openai";
  seen.response_id = "resp_1";
  seen.bytes_up = 0;
  seen.usage = {0, 0, 100, 0, 10, 0, {{"cache_write_30m", 100}}};
  bench.push(seen);
  CHECK(bench.number("SELECT count(*) FROM requests") == 1);
  CHECK(bench.text("SELECT bucket FROM request_cost_lines WHERE position = 0") ==
        "cache_write_12h");
}
