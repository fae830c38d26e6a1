#include "cli/status.h"

#include <catch2/catch.hpp>

#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;

namespace {

StatusFacts healthy() {
  StatusFacts facts;
  facts.install_mode = "env-only";
  facts.ports = {8081, 8090, 8765};
  facts.ports_known = true;
  facts.edge = StatusAnswer::parse("pid=10\ngate=open\n");
  facts.daemon = StatusAnswer::parse("pid=11\nstore.queue=0\n");
  facts.edge_accepts = facts.internal_accepts = facts.api_accepts = true;
  facts.database = "/h/db.sqlite";
  facts.database_there = true;
  facts.share = {.metered = 975, .missed = 25};
  facts.now_us = 1'800'000'000'000'000;
  facts.last_capture_us = facts.now_us - 5'000'000;
  return facts;
}

const StatusRow& row(const StatusReport& report, const std::string& component) {
  for (const StatusRow& each : report.rows)
    if (each.component == component) return each;
  FAIL("no row " << component);
  return report.rows.front();
}

}  // namespace

TEST_CASE("all well is HEALTHY") {
  const StatusReport report = judge_status(healthy());
  CHECK(report.verdict == Verdict::healthy);
  CHECK(row(report, "edge").detail == "PID 10, 127.0.0.1:8081");
  CHECK(row(report, "metered share (24 h)").state == "97.5 %");
  CHECK(row(report, "metered share (24 h)").detail == "25 of 1,000 calls not metered");
  CHECK(row(report, "last capture").state == "5 s ago");
  CHECK(row(report, "watchdog").state == "not needed on Linux");
  CHECK(report.hints.empty());
}

TEST_CASE("warnings about the configuration are told in full, and are no illness") {
  StatusFacts facts = healthy();
  facts.daemon = StatusAnswer::parse(
      "pid=11\nconfig.warning=the CA is older: setup --force\nconfig.warning=second\n");
  const StatusReport report = judge_status(facts);
  CHECK(report.verdict == Verdict::healthy);
  CHECK(row(report, "configuration").state == "2 warnings");
  REQUIRE(report.hints.size() == 2);
  CHECK(report.hints[0] == "Configuration: the CA is older: setup --force");
  CHECK(status_json(facts, report, "1").find("config_warnings") != std::string::npos);
  facts.daemon = StatusAnswer::parse("pid=11\nconfig.warning=only\n");
  CHECK(row(judge_status(facts), "configuration").state == "1 warning");
}

TEST_CASE("a processes' absence is judged by what it means for calls") {
  StatusFacts facts = healthy();
  SECTION("no daemon: calls pass unmetered") {
    facts.daemon.reset();
    facts.edge = StatusAnswer::parse("pid=10\ngate=closed\n");
    const StatusReport report = judge_status(facts);
    CHECK(report.verdict == Verdict::degraded);
    CHECK(row(report, "edge").state == "passthrough");
    CHECK(row(report, "daemon").state == "down");
  }
  SECTION("no edge: nothing passes") {
    facts.edge.reset();
    CHECK(judge_status(facts).verdict == Verdict::down);
  }
  SECTION("an edge whose port does not accept is as bad") {
    facts.edge_accepts = false;
    CHECK(judge_status(facts).verdict == Verdict::down);
  }
  SECTION("neither") {
    facts.edge.reset();
    facts.daemon.reset();
    const StatusReport report = judge_status(facts);
    CHECK(report.verdict == Verdict::down);
    CHECK(report.hints.size() == 1);
  }
}

TEST_CASE("smaller illnesses are DEGRADED") {
  StatusFacts facts = healthy();
  SECTION("database") {
    facts.database_error = "malformed";
  }
  SECTION("dropped rows") {
    facts.daemon = StatusAnswer::parse("store.dropped=3\n");
  }
  SECTION("unwritable database") {
    facts.daemon = StatusAnswer::parse("store.healthy=0\nstore.error=disk full\n");
  }
  SECTION("a client that refuses our CA") {
    facts.daemon = StatusAnswer::parse(
        "distrust.1=host=chatgpt.com client=codex variable=CODEX_CA_CERTIFICATE\n");
  }
  SECTION("no api") {
    facts.api_accepts = false;
  }
  CHECK(judge_status(facts).verdict == Verdict::degraded);
}

TEST_CASE("a distrusting client is named with the variable to set") {
  StatusFacts facts = healthy();
  facts.daemon = StatusAnswer::parse(
      "distrust.1=host=chatgpt.com client=codex%20cli pid=7 variable=CODEX_CA_CERTIFICATE\n");
  const StatusReport report = judge_status(facts);
  CHECK(row(report, "distrusting client").detail ==
        "codex cli (PID 7) at chatgpt.com: set CODEX_CA_CERTIFICATE");
}

TEST_CASE_METHOD(CliFixture, "the verdict is in the first line, and in the JSON") {
  const StatusReport report = judge_status(healthy());
  const std::string text = status_text(report, context);
  CHECK(text.starts_with("Halton Meter 9.9.9 status: HEALTHY\n"));
  CHECK(text.find('\x1b') == std::string::npos);
  context.colour = true;
  CHECK(status_text(report, context).find("\x1b[32mHEALTHY\x1b[0m") != std::string::npos);
  const std::string json = status_json(healthy(), report, "9.9.9");
  CHECK(json.starts_with("{\n  \"version\": \"9.9.9\",\n  \"install_mode\": \"env-only\",\n"));
  CHECK(json.find("\"verdict\": \"HEALTHY\"") != std::string::npos);
  CHECK(json.find("\"metered_per_mille\": 975") != std::string::npos);
}
