// Prints of API keys: a keyed hash of 8 bytes (SipHash-2-4 with a random secret of this home). Keys
// can be told apart by it and cannot be had back from it; without the secret not even a guess can
// be checked.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hm {

using SipKey = std::array<uint8_t, 16>;

[[nodiscard]] uint64_t siphash24(const SipKey& key, std::string_view text);

class KeyPrinter {
 public:
  explicit KeyPrinter(const SipKey& secret) : secret_(secret) {}

  // The secret of this home; a file of 16 bytes, mode 0600, made when it is missing. Of two
  // programs that make it at the same time one wins and both use its bytes. Blocks (disk).
  [[nodiscard]] static Result<KeyPrinter> load_or_create(const std::filesystem::path& file);

  [[nodiscard]] std::string print(std::string_view key) const;  // 16 hex digits; of nothing, none

 private:
  SipKey secret_;
};

}  // namespace hm
