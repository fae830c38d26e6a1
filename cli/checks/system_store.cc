#include "cli/checks/check.h"
#include "cli/subprocess.h"
#include "interceptor/tls/contexts.h"

namespace hm::cli {
namespace {

// The lines between BEGIN and END of the first certificate.
std::string body_of(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----\n";
  const size_t from = pem.find(kBegin);
  const size_t to = pem.find("-----END", from);
  if (from == std::string_view::npos || to == std::string_view::npos) return {};
  return trimmed(pem.substr(from + kBegin.size(), to - from - kBegin.size()));
}

Finding run(const Patient& patient) {
  const auto authority = read_file(patient.context.home.ca_cert(), 64 * 1024);
  const auto roots = read_file(tls::system_root_bundle());
  if (!authority || !roots) return skipped("nothing to compare");
  const std::string body = body_of(*authority);
  if (body.empty() || roots->find(body) == std::string::npos) return fine("our CA is not in it");
  return {Severity::inconsistent,
          "somebody copied our CA into the system's store: browsers show certificate errors, and "
          "every program of this machine trusts it",
          "sudo rm the copy in /usr/local/share/ca-certificates, then sudo update-ca-certificates "
          "--fresh"};
}

}  // namespace

const Check kSystemStoreCheck = {"system-store", "system's store", run};

}  // namespace hm::cli
