#include "cli/report.h"

#include <catch2/catch.hpp>

#include "cli/run_summary.h"

using namespace hm::cli;
using hm::pricing::PicoUsd;
using hm::store::Group;
using hm::store::Totals;

namespace {

Totals some() {
  Totals totals;
  totals.requests = 1234;
  totals.input_tokens = 2000;
  totals.cache_read_tokens = 1'000'000;
  totals.cache_write_tokens = 345;
  totals.output_tokens = 678;
  totals.cost = PicoUsd(12'345'670'000'000);
  totals.avg_latency_ms = 1500;
  totals.p95_latency_ms = 9000;
  return totals;
}

Report sample() {
  Report report;
  report.wish.period = {1'790'000'000'000'000, 1'792'000'000'000'000};
  report.totals = some();
  report.sections = {{ReportTable::project, {{"shop", "", some()}}},
                     {ReportTable::model, {{"gpt-5", "openai", some()}, {"", "xai", Totals()}}}};
  report.share = {.metered = 1234, .missed = 2};
  report.misses = {{.reason = "gate_closed", .host = "api.openai.com", .count = 2}};
  return report;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the report for people") {
  const std::string text = report_text(sample(), "9.9.9", {});
  CHECK(text.starts_with("Halton Meter 9.9.9 cost report\n"));
  CHECK(holds(text, "1,234 calls across 1 project, 2 models\n"));
  CHECK(holds(text, "1,002,345 tokens in (1,000,000 cached), 678 out\n"));
  CHECK(holds(text, "total cost $12.35\n"));
  CHECK(holds(text, "99.8 % of calls metered; 2 not metered (gate_closed 2)\n"));
  CHECK(holds(text, "gpt-5"));
  CHECK(holds(text, "(unknown)"));
  CHECK_FALSE(holds(text, "shadow"));
  CHECK_FALSE(holds(text, ">="));
}

TEST_CASE("unpriced calls make the total a lower bound; shadow cost stays apart") {
  Report report = sample();
  report.totals.unpriced = 3;
  report.totals.subscription = 4;
  report.totals.shadow_cost = PicoUsd(5'000'000'000'000);
  report.totals.incomplete = 2;
  report.unpriced = {
      {.provider = "openai", .model = "gpt-99", .reason = "unknown_model", .requests = 3}};
  const std::string text = report_text(report, "9.9.9", {});
  CHECK(holds(text, "total cost >= $12.35\n"));
  CHECK(holds(text, "a lower bound: 3 calls without a price"));
  CHECK(holds(text, "shadow cost $5.00: list price of 4 calls on a subscription"));
  CHECK(holds(text, "2 calls with incomplete token counts"));
  CHECK(holds(text, "openai gpt-99: 3 calls, unknown_model"));
}

TEST_CASE("where prices come from, and what is only near") {
  Report report = sample();
  CHECK_FALSE(holds(report_text(report, "9.9.9", {}), "Rate card"));
  report.card = {std::shared_ptr<void>(), &hm::pricing::RateCard::bundled()};
  report.today = *hm::pricing::parse_day("2026-11-24");
  report.sources = {{"bundled-2026-11-23", 9}, {"override", 1}, {"provider", 2}};
  report.notes.flags = {{"provider_cost_differs", 2}, {"stale_rate", 1}};
  report.notes.repriced = 3;
  const std::string text = report_text(report, "9.9.9", {});
  CHECK(holds(text, "\nRate card of 2026-11-23, evidence until 2026-11-10\n"));
  CHECK_FALSE(holds(text, "Notice"));
  CHECK(holds(text, "1 call priced with rates.toml\n"));
  CHECK(holds(text, "2 calls with the provider's own figure\n"));
  CHECK(holds(text, "3 calls priced again later\n"));
  CHECK(holds(text, "2 calls marked provider_cost_differs: the provider's own figure differs"));
  CHECK(holds(text, "1 call marked stale_rate: "));
  const std::string json = report_json(report, "9.9.9");
  CHECK(holds(json, "\"card_date\": \"2026-11-23\""));
  CHECK(holds(json, "\"provider_cost_differs\": 2"));
  CHECK(holds(json, "\"repriced\": 3"));
  report.today = *hm::pricing::parse_day("2027-01-08");
  CHECK(holds(report_text(report, "9.9.9", {}), "Notice: the card is older than 45 days"));
}

TEST_CASE("a narrow terminal keeps name and cost") {
  const std::string text = report_text(sample(), "9.9.9", {.boxed = false, .width = 20});
  CHECK(holds(text, "cost\n"));
  CHECK_FALSE(holds(text, "p95"));
}

TEST_CASE("an empty period") {
  Report report = sample();
  report.totals = {};
  report.sections.clear();
  CHECK(holds(report_text(report, "9.9.9", {}), "No calls in this period."));
}

TEST_CASE("the report for programs: money exact, unknown is null") {
  Report report = sample();
  const std::string json = report_json(report, "9.9.9");
  CHECK(holds(json, "\"cost_pico_usd\": 12345670000000"));
  CHECK(holds(json, "\"cost_usd\": \"12.34567\""));
  CHECK(holds(json, "\"by_model\": ["));
  CHECK(holds(json, "\"metered_per_mille\": 998"));
  CHECK(holds(json, "\"avg_latency_ms\": null"));
  CHECK(holds(json, "\"run_id\": null"));
  report.covers_all = false;
  CHECK(holds(report_json(report, "9.9.9"), "\"of\": \"period\""));
}

TEST_CASE("the report as CSV is its first table") {
  const std::string csv = report_csv(sample());
  CHECK(csv ==
        "project,provider,requests,errors,incomplete,unpriced,input_tokens,cache_read_tokens,"
        "cache_write_tokens,output_tokens,thinking_tokens,cost_usd,shadow_cost_usd,avg_latency_ms,"
        "p95_latency_ms\r\nshop,,1234,0,0,0,2000,1000000,345,678,0,12.34567," +
            PicoUsd().exact_dollars() + ",1500,9000\r\n");
}

TEST_CASE("a CSV by provider names every column once") {
  Report report = sample();
  report.sections.front().table = ReportTable::provider;
  const std::string csv = report_csv(report);
  CHECK(csv.starts_with("provider,requests,errors,"));
  CHECK(csv.find("\r\nshop,1234,0,") != std::string::npos);
}

TEST_CASE("calls past the meter as a table of their own") {
  Report report = sample();
  report.wish.misses_only = true;
  report.misses = {{.reason = "gate_closed",
                    .host = "api.openai.com",
                    .count = 2,
                    .bytes_up = 10,
                    .bytes_down = 2000,
                    .last_us = 1'790'000'000'000'000}};
  const std::string text = report_text(report, "9.9.9", {});
  CHECK(holds(text, "99.8 % of calls metered"));
  CHECK(holds(text, "gate_closed"));
  CHECK(holds(text, "2,000"));
  CHECK_FALSE(holds(text, "total cost"));
  CHECK(report_csv(report) ==
        "reason,host,calls,bytes_up,bytes_down,last_seen\r\n"
        "gate_closed,api.openai.com,2,10,2000," +
            hm::iso8601_utc(1'790'000'000'000'000) + "\r\n");
  CHECK(holds(report_json(report, "9.9.9"), "\"bytes_down\": 2000"));
}

TEST_CASE("a filter that misses know nothing of is said") {
  Report report = sample();
  report.covers_all = false;
  report.share.missed = 2;
  report.misses = {{.reason = "gate_closed", .host = "api.openai.com", .count = 2}};
  const std::string text = report_text(report, "9.9.9", {});
  CHECK(holds(text, "2 calls of this period not metered (gate_closed 2)"));
  CHECK(holds(text, "by project or run they are not known"));
  CHECK(holds(report_json(report, "9.9.9"), "\"missed\": 2"));
}

TEST_CASE("the line that run ends with") {
  CHECK(summary_text({}, 0) == "0 calls");
  CHECK(summary_text({}, 1) == "0 calls; 1 call not metered");
  Totals totals = some();
  CHECK(summary_text(totals, 0) ==
        "1,234 calls, 1,002,345 tokens in (1,000,000 cached), 678 out, $12.35");
  totals = Totals();
  totals.requests = 1;
  totals.input_tokens = 10;
  totals.unpriced = 1;
  CHECK(summary_text(totals, 0) ==
        "1 call, 10 tokens in, 0 out, >= $0.000000; 1 call without a price");
  totals.unpriced = 0;
  totals.subscription = 1;
  totals.shadow_cost = PicoUsd(2'000'000'000'000);
  CHECK(summary_text(totals, 0) == "1 call, 10 tokens in, 0 out, worth $2.00 on a subscription");
}
