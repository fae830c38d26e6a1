#include "cli/checks/check.h"
#include "interceptor/tls/contexts.h"
#include "interceptor/tls/trust_bundle.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  const Home& home = patient.context.home;
  const auto authority = read_file(home.ca_cert(), 64 * 1024);
  if (!authority) return skipped("there is no CA yet");
  std::error_code missing;
  const auto written = std::filesystem::last_write_time(home.bundle(), missing);
  if (missing)
    return {Severity::inconsistent, home.bundle().string() + " is not there", "halton-meter setup",
            Remedy::certificates};
  const auto text = read_file(home.bundle());
  size_t marks = 0;
  if (text)
    for (size_t at = text->find(tls::kBundleMark); at != std::string::npos;
         at = text->find(tls::kBundleMark, at + 1))
      ++marks;
  if (marks != 1 || !tls::trust_bundle_holds(home.bundle(), *authority))
    return {Severity::broken,
            "the bundle does not hold our CA under its mark exactly once (" +
                std::to_string(marks) + " marks): tools refuse metered calls",
            "halton-meter setup", Remedy::certificates};
  std::error_code unknown;
  const auto roots = std::filesystem::last_write_time(tls::system_root_bundle(), unknown);
  if (!unknown && roots > written)
    return {Severity::inconsistent, "the system's roots are newer than the bundle",
            "halton-meter setup", Remedy::certificates};
  return fine("current, our CA in it once");
}

}  // namespace

const Check kBundleCheck = {"bundle", "bundle for clients", run};

}  // namespace hm::cli
