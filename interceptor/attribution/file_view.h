// The little that the tiers need to see of a file system, so that their tests need none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace hm::attribution {

class FileView {
 public:
  enum class Kind : uint8_t { none, file, folder };

  virtual ~FileView() = default;
  [[nodiscard]] virtual Kind kind_of(const std::filesystem::path& path) const = 0;
  // Empty when it cannot be read or is larger.
  [[nodiscard]] virtual std::optional<std::string> read(const std::filesystem::path& path,
                                                        size_t max_bytes) const = 0;
  // Which file system a folder lies on; empty when that cannot be told.
  [[nodiscard]] virtual std::optional<uint64_t> device_of(
      const std::filesystem::path& folder) const = 0;
};

// The real one. Blocking calls; any thread.
[[nodiscard]] const FileView& disk_view();

}  // namespace hm::attribution
