#include "cli/checks/check.h"
#include "cli/text.h"
#include "interceptor/pricing/user_rates.h"

namespace hm::cli {
namespace {

constexpr int kOldDays = 90;

// How old, not whether newer ones exist: doctor asks nobody beyond this machine.
Finding run(const Patient& patient) {
  const auto rates = pricing::load_user_rates(patient.context.home.rates());
  const std::string running(patient.status.daemon ? patient.status.daemon->text("rates.card")
                                                  : std::string_view());
  const bool others = !running.empty() && running != rates.card->id();
  if (!rates.fault.empty()) {
    const char* instead =
        others ? "; until a restart the rates from before are in force" : "; list prices are used";
    return {Severity::inconsistent, "rates.toml is not used: " + printable(rates.fault) + instead,
            "halton-meter pricing check " + patient.context.home.rates().string()};
  }
  if (others)
    return {Severity::inconsistent,
            "the running interceptor prices with other rates than this version and rates.toml",
            "halton-meter restart"};
  const std::string date = rates.card->card_date();
  const auto day = pricing::parse_day(date);
  const int age = day ? pricing::day_of(patient.context.clock->wall_us()) - *day : 0;
  if (age > kOldDays)
    return {Severity::note,
            "the rate card is of " + date + ", " + std::to_string(age) +
                " days old: prices may have changed since",
            "install a newer version, or put rates of your own into " +
                patient.context.home.rates().string()};
  return fine("card of " + date + (rates.card->has_overrides() ? ", with rates.toml" : ""));
}

}  // namespace

const Check kRatesCheck = {"rates", "rate card", run};

}  // namespace hm::cli
