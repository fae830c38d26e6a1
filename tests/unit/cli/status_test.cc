#include "cli/status.h"

#include <catch2/catch.hpp>

#include "cli/text.h"
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
  // The edge may have been started later, and have found a fault.
  facts.edge = StatusAnswer::parse("pid=10\nconfig.warning=only\nconfig.warning=a fault\n");
  CHECK(row(judge_status(facts), "configuration").state == "2 warnings");
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

TEST_CASE("what is wrong with the store is said in words, with the next step") {
  StatusFacts facts = healthy();
  const auto with = [&](const std::string& fields) {
    facts.daemon = StatusAnswer::parse("pid=11\n" + fields);
    return judge_status(facts);
  };
  SECTION("locked") {
    const StatusReport report = with(
        "store.healthy=0\nstore.state=locked\nstore.ill_since_us=1799999000000000\n"
        "store.queue=17\nstore.in_memory=3\nstore.error=busy at store.write\n");
    CHECK(report.verdict == Verdict::degraded);
    CHECK(row(report, "daemon").state == "cannot write");
    CHECK(row(report, "database").state == "locked");
    const std::string detail = row(report, "database").detail;
    CHECK(detail.starts_with("since "));
    CHECK(detail.ends_with("14 rows in the spool, 3 rows in memory, /h/db.sqlite"));
    REQUIRE(report.hints.size() == 1);
    CHECK(report.hints[0].find("fuser -v /h/db.sqlite") != std::string::npos);
    const std::string json = status_json(facts, report, "1");
    CHECK(json.find("\"state\": \"locked\"") != std::string::npos);
    CHECK(json.find("\"rows_in_memory\": 3") != std::string::npos);
  }
  SECTION("full disk") {
    const StatusReport report = with("store.healthy=0\nstore.state=disk_full\nstore.queue=1\n");
    CHECK(row(report, "database").state == "disk full");
    CHECK(report.hints[0].find("df -h /h") != std::string::npos);
  }
  SECTION("not writable, and the spool neither") {
    const StatusReport report = with(
        "store.healthy=0\nstore.state=unwritable\nstore.queue=1\nstore.in_memory=1\n"
        "store.spool_error=permission at spool.make\n");
    CHECK(row(report, "database").state == "not writable");
    CHECK(row(report, "database").detail == "1 row in memory, /h/db.sqlite");
    REQUIRE(report.hints.size() == 2);
    CHECK(report.hints[0].find("ls -ld /h /h/db.sqlite") != std::string::npos);
    CHECK(report.hints[1].find("ls -ld /h/spool") != std::string::npos);
  }
  SECTION("moved aside: well again, and told") {
    const StatusReport report = with(
        "store.healthy=1\nstore.state=well\nstore.notice=it is kept as /h/db.sqlite.corrupt\n");
    CHECK(report.verdict == Verdict::healthy);
    REQUIRE(report.hints.size() == 1);
    CHECK(report.hints[0].find("/h/db.sqlite.corrupt") != std::string::npos);
  }
  SECTION("an older daemon that names no state") {
    const StatusReport report = with("store.healthy=0\nstore.error=disk full\n");
    CHECK(row(report, "database").state == "failing");
    CHECK(row(report, "database").detail.find("disk full") != std::string::npos);
  }
}

TEST_CASE("the metered share says why calls went past, and what the edge still holds") {
  StatusFacts facts = healthy();
  facts.misses = {{.reason = "gate_closed", .host = "a", .count = 20},
                  {.reason = "gate_closed", .host = "b", .count = 2},
                  {.reason = "ask_full", .host = "a", .count = 3}};
  facts.edge = StatusAnswer::parse("pid=10\ngate=open\nledger.calls=4\nledger.open=1\n");
  const StatusReport report = judge_status(facts);
  CHECK(row(report, "metered share (24 h)").detail ==
        "25 of 1,000 calls not metered (ask_full 3, gate_closed 22), 5 more in the edge");
  const std::string json = status_json(facts, report, "1");
  CHECK(json.find("\"gate_closed\": 22") != std::string::npos);
  CHECK(json.find("\"in_edge\": 4") != std::string::npos);
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
  SECTION("a daemon that finishes its calls") {
    facts.daemon = StatusAnswer::parse("leaving=1\nsessions=2\n");
    const StatusReport report = judge_status(facts);
    CHECK(row(report, "daemon").state == "stopping");
    CHECK(row(report, "daemon").detail.find("2 open connections") != std::string::npos);
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

TEST_CASE("an origin that does not answer is named, with what it costs and how to ask it again") {
  StatusFacts facts = healthy();
  facts.daemon =
      StatusAnswer::parse("silent_origin.0=host=api.x.ai port=443 times=2 tunnelled=3 left_s=58\n");
  const StatusReport report = judge_status(facts);
  CHECK(report.verdict == Verdict::degraded);
  CHECK(row(report, "silent origin").detail ==
        "api.x.ai:443 does not answer; 3 unmetered since; asked again in 58 s");
  REQUIRE_FALSE(report.hints.empty());
  CHECK(report.hints[0].find("halton-meter reload") != std::string::npos);
  CHECK(status_json(facts, report, "9.9.9").find("\"tunnelled\": \"3\"") != std::string::npos);
}

TEST_CASE_METHOD(CliFixture, "a narrow terminal loses no detail") {
  StatusFacts facts = healthy();
  facts.database = "/home/alice/.halton-meter/db.sqlite";
  facts.daemon = StatusAnswer::parse(
      "pid=11\ndistrust.0=host=chatgpt.com client=codex pid=7 variable=CODEX_CA_CERTIFICATE\n");
  const StatusReport report = judge_status(facts);
  for (const bool boxed : {false, true})
    for (const size_t width : {80U, 60U, 40U}) {
      context.style = {.boxed = boxed, .width = width};
      const std::string text = status_text(report, context);
      CAPTURE(text);
      for (const char* part :
           {"PID 10", "127.0.0.1:8081", "127.0.0.1:8090", "127.0.0.1:8765", "CODEX_CA_CERTIFICATE",
            "db.sqlite", "25 of 1,000", "metered share", "not needed on"})
        CHECK(text.find(part) != std::string::npos);
      std::istringstream lines(text.substr(0, text.find("A client that refuses")));
      for (std::string line; std::getline(lines, line);) CHECK(display_width(line) <= width);
    }
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
