#include <array>

#include "cli/checks/check.h"

namespace hm::cli {

std::span<const Check* const> all_checks() {
  // What explains the others comes first.
  static constexpr std::array kChecks = {
      &kUserBusCheck, &kLingerCheck, &kUnitFilesCheck, &kServicesCheck, &kVersionsCheck,
      &kPortsCheck,   &kHomeCheck,   &kAuthorityCheck, &kBundleCheck,   &kSystemStoreCheck,
      &kShellCheck,   &kToolsCheck,  &kDistrustCheck,  &kRealCallCheck, &kDatabaseCheck,
      &kDiskCheck,    &kShareCheck,
  };
  return kChecks;
}

}  // namespace hm::cli
