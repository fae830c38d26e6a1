#include <array>
#include <filesystem>

#include "cli/checks/check.h"
#include "cli/env_files.h"
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

// Where a distribution takes additional roots from, and what makes the store of them.
struct Anchors {
  const char* folder;
  const char* refresh;
};
constexpr std::array kAnchors = {
    Anchors{"/usr/local/share/ca-certificates", "sudo update-ca-certificates --fresh"},
    Anchors{"/etc/pki/ca-trust/source/anchors", "sudo update-ca-trust"},
    Anchors{"/etc/ca-certificates/trust-source/anchors", "sudo update-ca-trust"},
};

std::string remedy(const std::string& body) {
  namespace fs = std::filesystem;
  std::string refresh;
  for (const Anchors& anchors : kAnchors) {
    std::error_code error;
    if (refresh.empty() && fs::exists(anchors.folder, error)) refresh = anchors.refresh;
    for (fs::recursive_directory_iterator at(anchors.folder, error), end; !error && at != end;
         at.increment(error)) {
      const auto text = read_file(at->path(), 64 * 1024);
      if (text && text->find(body) != std::string::npos)
        return "sudo rm " + shell_quoted(at->path().string(), false) + " && " + anchors.refresh +
               " && halton-meter setup";
    }
  }
  if (refresh.empty()) return "remove it from " + tls::system_root_bundle().string();
  return refresh + " && halton-meter setup";  // the copy is gone already, or was never a file
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
          remedy(body)};
}

}  // namespace

const Check kSystemStoreCheck = {"system-store", "system's store", run};

}  // namespace hm::cli
