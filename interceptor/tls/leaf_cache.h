// Leaf certificates, minted when first needed (P-256, about 0.2 ms) and kept: LRU of 256 hosts. A
// leaf lives at most seven days, begins a day in the past, and is minted again when less than a day
// is left. SAN only, random serial, Authority and Subject Key Identifiers, critical key usage:
// newer Python verifies strictly (RFC 5280 4.2). Relay-loop thread only.
#pragma once

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace hm::tls {

class Authority;

struct Leaf;  // certificate, key and the CA's certificate; defined in leaf_cache.cc's private
              // header

class LeafCache {
 public:
  LeafCache(const Authority& authority, const Clock& clock);
  ~LeafCache();
  LeafCache(const LeafCache&) = delete;
  LeafCache& operator=(const LeafCache&) = delete;

  // Host name or IP literal, lower case. The pointer is valid until the next call. refused: the
  // CA's name constraints do not cover the host.
  [[nodiscard]] Result<const Leaf*> leaf_for(const std::string& host);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::tls
