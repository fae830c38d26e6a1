// The certificates that clients are given instead of certifi's: the system's roots, then our CA
// under one marked line, as ~/.halton-meter/python/certifi/cacert.pem with an __init__.py beside it
// that answers `import certifi`. Blocking calls: not on the loop.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace hm::tls {

// Users grep for this phrase; it occurs in the bundle exactly once.
inline constexpr std::string_view kBundleMark = "halton-meter mitmproxy CA cert appended";

struct TrustBundleSources {
  std::filesystem::path system_roots;              // empty: the system's own places
  std::vector<std::filesystem::path> extra_roots;  // PEM, between the system's roots and ours
  std::string authority_pem;                       // Authority::certificate_pem()
};

// Makes `bundle` (.../certifi/cacert.pem) and the __init__.py beside it be what the sources say;
// both are replaced atomically and only when they differ (missing, CA changed, roots changed).
// True: something was written. not_found: there are no system roots; a bundle with our CA alone
// would take the public ones away from clients, so none is written. A file of extra_roots that
// cannot be read is an error.
[[nodiscard]] Result<bool> refresh_trust_bundle(const TrustBundleSources& sources,
                                                const std::filesystem::path& bundle);

// Does the bundle hold this CA under the mark, exactly once? For `doctor`; false when unreadable.
[[nodiscard]] bool trust_bundle_holds(const std::filesystem::path& bundle,
                                      const std::string& authority_pem);

}  // namespace hm::tls
