#include "interceptor/attribution/git.h"

#include <algorithm>
#include <string_view>

namespace hm::attribution {
namespace {

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxHead = 4096;
constexpr size_t kMaxBranch = 200;

std::string_view first_line(std::string_view text) {
  text = text.substr(0, text.find('\n'));
  while (text.ends_with('\r') || text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::optional<std::filesystem::path> metadata_folder(const std::filesystem::path& folder,
                                                     const FileView& files) {
  const std::filesystem::path entry = folder / ".git";
  if (files.kind_of(entry) == FileView::Kind::folder) return entry;
  const auto content = files.read(entry, kMaxHead);
  if (!content) return std::nullopt;
  std::string_view line = first_line(*content);
  constexpr std::string_view kPointer = "gitdir:";
  if (!line.starts_with(kPointer)) return std::nullopt;
  line.remove_prefix(kPointer.size());
  while (line.starts_with(' ')) line.remove_prefix(1);
  if (line.empty()) return std::nullopt;
  return (folder / line).lexically_normal();  // an absolute one replaces the folder
}

}  // namespace

std::string git_branch(const std::filesystem::path& folder, const FileView& files) {
  const auto metadata = metadata_folder(folder, files);
  if (!metadata) return {};
  const auto head = files.read(*metadata / "HEAD", kMaxHead);
  if (!head) return {};
  std::string_view line = first_line(*head);
  constexpr std::string_view kBranch = "ref: refs/heads/";
  if (!line.starts_with(kBranch)) return {};
  line.remove_prefix(kBranch.size());
  // With reftable storage HEAD is a dummy.
  if (line.empty() || line == ".invalid" || line.size() > kMaxBranch) return {};
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
  if (std::any_of(line.begin(), line.end(), control)) return {};
  return std::string(line);
}

std::vector<std::filesystem::path> folders_upward(const std::filesystem::path& start,
                                                  const std::filesystem::path& home,
                                                  const FileView& files) {
  std::vector<std::filesystem::path> out;
  if (!start.is_absolute()) return out;
  std::filesystem::path folder = start.lexically_normal();
  if (!folder.has_filename() && folder.has_relative_path()) folder = folder.parent_path();
  const auto device = files.device_of(folder);
  while (out.size() < kMaxDepth) {
    out.push_back(folder);
    if (folder == home || folder == folder.root_path()) break;
    folder = folder.parent_path();
    const auto next = files.device_of(folder);
    if (device && next && *device != *next) break;
  }
  return out;
}

std::optional<std::filesystem::path> git_folder(const std::vector<std::filesystem::path>& upward,
                                                const std::filesystem::path& home,
                                                const FileView& files) {
  for (const std::filesystem::path& folder : upward)
    if (folder != home && files.kind_of(folder / ".git") != FileView::Kind::none) return folder;
  return std::nullopt;
}

}  // namespace hm::attribution
