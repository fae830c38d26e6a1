// A clock that is wrong makes certificates invalid and files rows under the wrong day. Judged by
// what we know without asking anybody: our CA, our newest row, the day of the rate card.
#include "cli/checks/check.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::cli {
namespace {

constexpr int64_t kToleranceUs = int64_t{120} * 1'000'000;

Finding run(const Patient& patient) {
  const int64_t now_us = patient.context.clock->wall_us();
  const std::string now = iso8601_utc(now_us).substr(0, 16);
  const std::string set = "set the clock: sudo timedatectl set-ntp true";
  const auto card_day = pricing::parse_day(pricing::RateCard::bundled().card_date());
  if (card_day && pricing::day_of(now_us) + 1 < *card_day)
    return {Severity::broken,
            "the clock says " + now +
                " UTC, which is before this version was made: certificates "
                "seem not valid yet",
            set};
  if (patient.database && patient.database->newest_us > now_us + kToleranceUs)
    return {Severity::inconsistent,
            "the newest row is of " + iso8601_utc(patient.database->newest_us).substr(0, 16) +
                " UTC and the clock says " + now + ": it was set back, or was wrong before",
            set};
  return fine(now + " UTC");
}

}  // namespace

const Check kClockCheck = {"clock", "clock", run};

}  // namespace hm::cli
