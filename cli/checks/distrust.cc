#include "cli/checks/check.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

Finding run(const Patient& patient) {
  if (!patient.status.daemon) return skipped("the interceptor does not answer");
  std::string who;
  std::string variable;
  for (const std::string& packed : patient.status.daemon->with_prefix("distrust.")) {
    std::string client;
    std::string host;
    for (const auto& [key, value] : wire::unpack_fields(packed)) {
      if (key == "client") client = value;
      if (key == "host") host = value;
      if (key == "variable" && variable.empty()) variable = value;
    }
    who += (who.empty() ? "" : ", ") + printable(client) + " at " + printable(host);
  }
  if (who.empty()) return fine("no client has refused our CA");
  return {Severity::inconsistent,
          "refused our CA, so it is tunnelled unmetered: " + who +
              "; start it with halton-meter run -- TOOL, which sets " + printable(variable) +
              " and the rest, and have it asked again",
          "halton-meter reload", Remedy::ask_again};
}

}  // namespace

const Check kDistrustCheck = {"distrust", "clients' trust", run};

}  // namespace hm::cli
