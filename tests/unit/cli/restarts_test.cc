// Which restarts doctor calls a loop: those of the last hour, not those of last month. systemctl is
// a script here, since systemd's own numbers cannot be made old.
#include "cli/restarts.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "cli/checks/check.h"
#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;

namespace {

constexpr int64_t kMinuteUs = int64_t{60} * 1'000'000;
constexpr int64_t kWallUs = int64_t{1'790'000'000} * 1'000'000;
constexpr int64_t kSteadyUs = int64_t{90'000} * 1'000'000;

struct SetClock final : hm::Clock {
  [[nodiscard]] int64_t wall_us() const override { return kWallUs; }
  [[nodiscard]] int64_t steady_us() const override { return kSteadyUs; }
};

std::string event(int64_t minutes_ago, const std::string& name, const std::string& more = "") {
  return R"({"at":")" + hm::iso8601_utc(kWallUs - minutes_ago * kMinuteUs) +
         R"(","level":"info","event":")" + name + '"' + more + "}\n";
}

struct RestartsFixture : CliFixture {
  RestartsFixture() {
    context.clock = &clock;
    context.environment["PATH"] = (folder / "bin").string() + ":/usr/bin:/bin";
    std::filesystem::create_directories(folder / "bin");
    std::filesystem::create_directories(context.home.root());
  }
  // What `systemctl --user show UNIT` says of the edge; the interceptor is well.
  void systemd_says(int restarts, int64_t active_for_us) {
    const auto script = folder / "bin" / "systemctl";
    std::ofstream(script) << "#!/bin/sh\ncase \"$*\" in\n*ActiveState*) echo active ;;\n"
                          << "*halton-meter.service*NRestarts*) echo 0 ;;\n*NRestarts*) echo "
                          << restarts << " ;;\n*ActiveEnterTimestampMonotonic*) echo "
                          << (active_for_us < 0 ? 0 : kSteadyUs - active_for_us)
                          << " ;;\n*ExecMainStatus*) echo 7 ;;\n*UnitFileState*) echo enabled "
                             ";;\n*) echo 252 ;;\nesac\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  }
  Finding look() {
    Patient patient{context};
    patient.has_units = true;
    return kServicesCheck.run(patient);
  }

  SetClock clock;
};

}  // namespace

TEST_CASE("restarts: how many of them are of the last hour", "[doctor]") {
  struct Case {
    const char* what;
    Restarts restarts;
    int64_t lately;
  };
  for (const Case& one : {Case{"none", {0, 5 * kMinuteUs, 1}, 0},
                          Case{"all of them in this hour", {5, 5 * kMinuteUs, 5}, 5},
                          Case{"the start by hand is of this hour, too", {5, 5 * kMinuteUs, 6}, 5},
                          Case{"many long ago, calm since", {40, 61 * kMinuteUs, 0}, 0},
                          Case{"calm for exactly an hour", {40, kLatelyUs, 0}, 0},
                          Case{"a moment less", {40, kLatelyUs - 1, 9}, 9},
                          Case{"many long ago, one just now", {40, kMinuteUs, 1}, 1},
                          Case{"a log that knows nothing is not believed", {40, kMinuteUs, 0}, 40},
                          Case{"nor is the time known: the log is", {40, -1, 2}, 2},
                          Case{"nothing is known but the count", {4, -1, 0}, 4}}) {
    INFO(one.what);
    CHECK(restarts_lately(one.restarts) == one.lately);
  }
}

TEST_CASE_METHOD(CliFixture, "restarts: starts in a log and its rotated files", "[doctor]") {
  std::filesystem::create_directories(context.home.root());
  const auto log = context.home.edge_log();
  CHECK(starts_in_log(log, "edge", 0) == 0);  // no log
  std::ofstream(log.string() + ".1")
      << event(61, "edge.startup.ready") << event(59, "edge.startup.ready");
  std::ofstream(log) << event(30, "edge.startup.failed") << event(20, "daemon.startup.ready")
                     << event(10, "edge.note", R"(,"text":"\"event\":\"edge.startup.ready\"")")
                     << event(0, "edge.startup.ready") << "edge.startup.ready\n{\"at\":\"";
  CHECK(starts_in_log(log, "edge", kWallUs - kLatelyUs) == 3);
  CHECK(starts_in_log(log, "edge", 0) == 4);
  CHECK(starts_in_log(log, "daemon", kWallUs - kLatelyUs) == 1);
}

TEST_CASE_METHOD(RestartsFixture, "doctor: restarts of last month are no loop", "[doctor]") {
  struct Case {
    const char* what;
    int restarts;
    int64_t active_for_us;
    std::vector<int64_t> starts;  // in the log, minutes ago
    const char* finding;          // empty: fine
  };
  for (const Case& one : {
           Case{"never", 0, 100 * kMinuteUs, {100}, ""},
           Case{"three times just now", 3, kMinuteUs, {4, 3, 2, 1}, ""},
           Case{"four times just now", 4, kMinuteUs, {5, 4, 3, 2, 1}, "again 4 times"},
           Case{"the last one 59 minutes ago", 4, 59 * kMinuteUs, {59, 59, 59, 59}, "4 times"},
           Case{"the last one an hour ago", 90, 60 * kMinuteUs, {60}, ""},
           Case{"once a week, and today", 9, kMinuteUs, {70'000, 60'000, 50'000, 1}, ""},
           Case{"last week and a loop today", 9, kMinuteUs, {9'000, 4, 3, 2, 1}, "4 times"},
           Case{"without a log", 4, kMinuteUs, {}, "again 4 times"},
       }) {
    INFO(one.what);
    systemd_says(one.restarts, one.active_for_us);
    std::ofstream log(context.home.edge_log());
    for (const int64_t minutes : one.starts) log << event(minutes, "edge.startup.ready");
    log.close();
    const Finding finding = look();
    INFO(finding.text);
    const bool is_fine = *one.finding == '\0';
    CHECK((finding.severity == Severity::fine) == is_fine);
    if (is_fine) continue;
    CHECK(finding.severity == Severity::inconsistent);
    CHECK(finding.text.find(one.finding) != std::string::npos);
    CHECK(finding.text.find("halton-meter-edge.service") == 0);
    CHECK(finding.text.find("code 7") != std::string::npos);
    CHECK(finding.next == "halton-meter logs --since 1h");
  }
}
