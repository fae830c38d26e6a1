// The local certificate authority: EC P-256, five years, pathlen 0, critical name constraints for
// exactly the metered hosts. Folder 0700, key 0600 (created with O_EXCL); looser modes are refused.
// Blocking calls: not on the loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace hm::tls {

class Authority {
 public:
  // Loads the CA of this folder (ca-cert.pem, ca-key.pem), or makes one when both files are absent.
  // Two processes that start at once end with one CA (lock file). permission: the key's or folder's
  // mode is too open; malformed: files do not parse or do not belong together; not_found never.
  [[nodiscard]] static Result<std::unique_ptr<Authority>> load_or_create(
      const std::filesystem::path& folder, const std::vector<std::string>& hosts,
      const Clock& clock);
  // Replaces what is there (setup --force).
  [[nodiscard]] static Result<std::unique_ptr<Authority>> create(
      const std::filesystem::path& folder, const std::vector<std::string>& hosts,
      const Clock& clock);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  [[nodiscard]] const std::string& certificate_pem() const;
  [[nodiscard]] int64_t not_after_us() const;  // wall
  // Outside of its dates nobody accepts what it signs.
  [[nodiscard]] bool valid_at(int64_t wall_us) const;
  // May this CA sign for the host (its name constraints cover it)?
  [[nodiscard]] bool covers(const std::string& host) const;

  struct Parts;
  [[nodiscard]] const Parts& parts() const { return *parts_; }  // for leaf_cache.cc

 private:
  Authority();
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::tls
