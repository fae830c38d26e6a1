#include <sys/stat.h>

#include "cli/checks/check.h"
#include "cli/text.h"
#include "interceptor/tls/ca_store.h"

namespace hm::cli {
namespace {

constexpr int64_t kSoonUs = int64_t{30} * 86'400 * 1'000'000;

Finding run(const Patient& patient) {
  const Home& home = patient.context.home;
  std::error_code ignored;
  // load_or_create() would make one.
  if (!std::filesystem::exists(home.ca_cert(), ignored))
    return {patient.mode ? Severity::broken : Severity::skipped, "there is no CA yet",
            patient.mode ? "halton-meter setup" : "", Remedy::certificates};
  const auto authority = tls::Authority::load_or_create(
      home.ca_dir(), patient.settings.metered_hosts, *patient.context.clock);
  if (!authority) {
    if (authority.error().code == Code::permission)
      return {Severity::broken, "key or folder of the CA is open to others, so it is not used",
              "chmod 700 " + home.ca_dir().string() + " && chmod 600 " + home.ca_key().string(),
              Remedy::permissions};
    return {Severity::broken, "the CA cannot be used: " + describe(authority.error()),
            "halton-meter setup --force", Remedy::certificates};
  }
  const int64_t left_us = (*authority)->not_after_us() - patient.context.clock->wall_us();
  const std::string until = iso8601_utc((*authority)->not_after_us()).substr(0, 10);
  if (left_us < kSoonUs)
    return {left_us < 0 ? Severity::broken : Severity::inconsistent,
            (left_us < 0 ? "the CA has expired on " : "the CA expires on ") + until,
            "halton-meter setup --force", Remedy::certificates};
  for (const std::string& host : patient.settings.metered_hosts)
    if (!(*authority)->covers(host))
      return {Severity::inconsistent,
              "the CA does not cover " + printable(host) + ": its calls are not metered",
              "halton-meter setup --force", Remedy::certificates};
  return fine("valid until " + until + ", covers all metered hosts");
}

}  // namespace

const Check kAuthorityCheck = {"ca", "CA certificate", run};

}  // namespace hm::cli
