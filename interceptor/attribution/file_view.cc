#include "interceptor/attribution/file_view.h"

#include <sys/stat.h>

#include "common/base/fs.h"

namespace hm::attribution {
namespace {

class DiskView final : public FileView {
 public:
  [[nodiscard]] Kind kind_of(const std::filesystem::path& path) const override {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return Kind::none;
    if (S_ISDIR(info.st_mode)) return Kind::folder;
    return S_ISREG(info.st_mode) ? Kind::file : Kind::none;
  }

  [[nodiscard]] std::optional<std::string> read(const std::filesystem::path& path,
                                                size_t max_bytes) const override {
    // A pipe under that name would hold the thread for good.
    if (kind_of(path) != Kind::file) return std::nullopt;
    auto content = read_file(path, max_bytes);
    if (!content) return std::nullopt;
    return std::move(*content);
  }

  [[nodiscard]] std::optional<uint64_t> device_of(
      const std::filesystem::path& folder) const override {
    struct stat info{};
    if (::stat(folder.c_str(), &info) != 0) return std::nullopt;
    return static_cast<uint64_t>(info.st_dev);
  }
};

}  // namespace

const FileView& disk_view() {
  static const DiskView view;
  return view;
}

}  // namespace hm::attribution
