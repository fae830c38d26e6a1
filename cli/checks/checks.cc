#include <array>

#include "cli/checks/check.h"

namespace hm::cli {

std::span<const Check* const> all_checks() {
  // What explains the others comes first.
  static constexpr std::array kChecks = {
      &kUserBusCheck,       &kLingerCheck,      &kUnitFilesCheck, &kServicesCheck,  &kVersionsCheck,
      &kPortsCheck,         &kHomeCheck,        &kClockCheck,     &kAuthorityCheck, &kBundleCheck,
      &kPythonBundlesCheck, &kSystemStoreCheck, &kShellCheck,     &kToolsCheck,     &kDistrustCheck,
      &kSilentOriginsCheck, &kRealCallCheck,    &kRuntimesCheck,  &kDatabaseCheck,  &kDiskCheck,
      &kMemoryCheck,        &kRatesCheck,       &kBufferingCheck, &kShareCheck,
  };
  return kChecks;
}

}  // namespace hm::cli
