#include "common/config/last_good.h"

#include <string>
#include <system_error>
#include <utility>

#include "common/base/fs.h"

namespace hm::config {
namespace {

constexpr size_t kMostBytes = 1024 * 1024;

}  // namespace

std::filesystem::path last_good_file(const std::filesystem::path& path) {
  return path.string() + ".good";
}

Loaded load_in_force(const std::filesystem::path& path) {
  Loaded fresh = load(path);
  const std::filesystem::path good = last_good_file(path);
  std::error_code ignored;
  if (fresh.faults.empty() || !std::filesystem::exists(good, ignored)) return fresh;
  Loaded before = load(good);
  if (!before.faults.empty()) return fresh;
  before.faults = std::move(fresh.faults);
  before.warnings.clear();
  for (const std::string& fault : before.faults)
    before.warnings.push_back(fault +
                              "; the whole file is passed over and what was in force before is "
                              "used. Mend it, then halton-meter reload");
  return before;
}

void remember(const std::filesystem::path& path) {
  const std::filesystem::path good = last_good_file(path);
  const auto text = read_file(path, kMostBytes);
  if (!text) {
    std::error_code ignored;
    if (text.error().code == Code::not_found) std::filesystem::remove(good, ignored);
    return;
  }
  if (read_file(good, kMostBytes) == text) return;
  // Read anew: what was loaded may have been another text.
  if (parse(*text, path.string()).faults.empty())
    static_cast<void>(replace_file(good, *text, 0600));
}

}  // namespace hm::config
