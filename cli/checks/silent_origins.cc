#include "cli/checks/check.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  if (!patient.status.daemon) return skipped("the interceptor does not answer");
  std::string which;
  for (const std::string& packed : patient.status.daemon->with_prefix("silent_origin.")) {
    std::string host;
    std::string left;
    for (const auto& [key, value] : wire::unpack_fields(packed)) {
      if (key == "host") host = value;
      if (key == "left_s") left = value;
    }
    which += (which.empty() ? "" : ", ") + printable(host) + " (asked again in " + printable(left) +
             " s)";
  }
  if (which.empty()) return fine("every origin answers our handshake");
  return {Severity::inconsistent,
          "takes connections and does not answer our handshake, so it is tunnelled unmetered: " +
              which + "; something on the way may swallow it. To have it asked again at once",
          "halton-meter reload", Remedy::ask_again};
}

}  // namespace

const Check kSilentOriginsCheck = {"silent-origins", "origins answer", run};

}  // namespace hm::cli
