#include "cli/period.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>

using namespace hm::cli;

namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kHour = 3600 * kSecond;
constexpr int64_t kDay = 24 * kHour;
constexpr int64_t kNow = 1'795'430'000 * kSecond;  // 2026-11-23T10:33:20Z

// Berlin has days of 23 and 25 hours.
struct InZone {
  explicit InZone(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  ~InZone() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";

}  // namespace

TEST_CASE("durations") {
  CHECK(parse_duration_us("7d") == 7 * kDay);
  CHECK(parse_duration_us("7") == 7 * kDay);
  CHECK(parse_duration_us("2h") == 2 * kHour);
  CHECK(parse_duration_us("5m") == 300 * kSecond);
  CHECK(parse_duration_us("30s") == 30 * kSecond);
  CHECK(parse_duration_us("2w") == 14 * kDay);
  for (const char* bad : {"", "d", "-1d", "7x", "7dd", "1.5d", " 7d", "99999999999999999999",
                          "99999999d", "2026-11-23"})
    CHECK_FALSE(parse_duration_us(bad));
}

TEST_CASE("instants") {
  const InZone utc("UTC0");
  CHECK(parse_instant_us("2026-11-23T10:33:20Z") == kNow);
  CHECK(parse_instant_us("2026-11-23T10:33:20") == kNow);
  CHECK(parse_instant_us("2026-11-23 10:33") == kNow - 20 * kSecond);
  CHECK(parse_instant_us("1970-01-01") == 0);
  for (const char* bad : {"", "2026", "2026-13-01", "2026-00-10", "2026-02-30", "2026-11-23T",
                          "2026-11-23T25:00", "2026-11-23T10:60", "2026-11-2", "2026/11/23",
                          "2026-11-23T10:33:20+01:00", "2026-11-23X10:33", "1969-01-01"})
    CHECK_FALSE(parse_instant_us(bad));
}

TEST_CASE("dates are days of the local zone") {
  const InZone berlin(kBerlin);
  CHECK(parse_instant_us("2026-11-23") == parse_instant_us("2026-11-22T23:00:00Z"));
  CHECK(parse_instant_us("2026-07-01T12:00") == parse_instant_us("2026-07-01T10:00:00Z"));
  CHECK(local_time(kNow) == "2026-11-23 11:33");
}

TEST_CASE("periods") {
  const InZone utc("UTC0");
  const auto usual = period_of({}, kNow);
  REQUIRE(usual);
  CHECK(usual->from_us == kNow - 30 * kDay);
  CHECK(usual->to_us == kNow);

  const auto since = period_of({.since = "5m", .from = {}, .to = {}}, kNow);
  REQUIRE(since);
  CHECK(since->from_us == kNow - 300 * kSecond);

  const auto date = period_of({.since = "2026-11-01", .from = {}, .to = {}}, kNow);
  REQUIRE(date);
  CHECK(date->from_us == *parse_instant_us("2026-11-01"));

  const auto range = period_of({.since = {}, .from = "2026-11-01", .to = "2026-11-02"}, kNow);
  REQUIRE(range);
  CHECK(range->to_us - range->from_us == 2 * kDay);  // both days

  const auto exact = period_of({.since = {}, .from = "2026-11-01", .to = "2026-11-02T12:00"}, kNow);
  REQUIRE(exact);
  CHECK(exact->to_us - exact->from_us == 36 * kHour);

  const auto today = period_of({.since = {}, .from = {}, .to = {}, .today = true}, kNow);
  REQUIRE(today);
  CHECK(today->from_us == *parse_instant_us("2026-11-23"));
}

TEST_CASE("the day the clocks change is whole") {
  const InZone berlin(kBerlin);
  const auto autumn = period_of({.since = {}, .from = "2026-10-25", .to = "2026-10-25"}, kNow);
  REQUIRE(autumn);
  CHECK(autumn->to_us - autumn->from_us == 25 * kHour);
  const auto spring = period_of({.since = {}, .from = "2026-03-29", .to = "2026-03-29"}, kNow);
  REQUIRE(spring);
  CHECK(spring->to_us - spring->from_us == 23 * kHour);
}

TEST_CASE("contradictions are told") {
  CHECK_FALSE(period_of({.since = "7d", .from = "2026-11-01", .to = {}}, kNow));
  CHECK_FALSE(period_of({.since = "7d", .from = {}, .to = "2026-11-01"}, kNow));
  CHECK_FALSE(period_of({.since = "7d", .from = {}, .to = {}, .today = true}, kNow));
  CHECK_FALSE(period_of({.since = "soon", .from = {}, .to = {}}, kNow));
  CHECK_FALSE(period_of({.since = {}, .from = "2026-11-02", .to = "2026-10-01"}, kNow));
  CHECK(period_of({.since = "soon", .from = {}, .to = {}}, kNow).error().find("soon") !=
        std::string::npos);
}

TEST_CASE("a period from and to so long ago") {
  const auto range = period_of({.since = {}, .from = "7d", .to = "2h"}, kNow);
  REQUIRE(range);
  CHECK(range->from_us == kNow - 7 * kDay);
  CHECK(range->to_us == kNow - 2 * kHour);
}

TEST_CASE("what is wrong with a time is told") {
  const auto old = period_of({.since = {}, .from = "1969-01-01", .to = {}}, kNow);
  REQUIRE_FALSE(old);
  CHECK(old.error().find("from 1970 on") != std::string::npos);
  CHECK(period_of({.since = {}, .from = "2999-01-01", .to = {}}, kNow).error() ==
        "--from 2999-01-01 lies in the future");
  CHECK(period_of({.since = "2999-01-01", .from = {}, .to = {}}, kNow).error() ==
        "--since 2999-01-01 lies in the future");
}

TEST_CASE("ago") {
  CHECK(ago(kNow - 5 * kSecond, kNow) == "5 s ago");
  CHECK(ago(kNow - 300 * kSecond, kNow) == "5 min ago");
  CHECK(ago(kNow - 5 * kHour, kNow) == "5 h ago");
  CHECK(ago(kNow - 5 * kDay, kNow) == "5 days ago");
  CHECK(ago(kNow + kDay, kNow) == "0 s ago");  // a clock that was set back
}
