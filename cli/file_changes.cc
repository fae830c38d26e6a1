#include "cli/file_changes.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "common/base/fs.h"

namespace hm::cli {
namespace {

namespace fs = std::filesystem;

// weakly_canonical() takes a link that leads nowhere for a file that is not there.
Result<fs::path> behind_links(const fs::path& file) {
  constexpr int kMostLinks = 40;  // as the kernel
  std::error_code error;
  fs::path at = file;
  for (int links = 0; fs::is_symlink(at, error) && !fs::exists(at, error); ++links) {
    const fs::path target = fs::read_symlink(at, error);
    if (error || links == kMostLinks) return fail(Code::system, "file_changes.link", ELOOP);
    at = at.parent_path() / target;  // the target alone when it is absolute
    // What is to hold the file may be a disk that is not mounted yet.
    if (!fs::is_directory(at.parent_path(), error))
      return fail(Code::not_found, "file_changes.link", ENOENT);
  }
  const fs::path target = fs::weakly_canonical(at, error);
  return error ? at : target;
}

}  // namespace

void FileChanges::watch_folders(const fs::path& folder) {
  struct stat info{};
  if (folder.empty() || ::lstat(folder.c_str(), &info) == 0) return;
  watch_folders(folder.parent_path());
  watch(folder);
  made_folders_.push_back(folder);
}

void FileChanges::watch(const fs::path& path) {
  const auto known = [&](const Before& before) { return before.path == path; };
  if (std::ranges::any_of(before_, known)) return;
  Before before;
  before.path = path;
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0) {
    before.mode = info.st_mode & 07777U;
    before.folder_was_there = S_ISDIR(info.st_mode);
    if (!before.folder_was_there)
      if (auto content = read_file(path)) before.content = std::move(*content);
  }
  before_.push_back(std::move(before));
}

void FileChanges::watch_new(const fs::path& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) watch(path);
}

Result<bool> FileChanges::write(const fs::path& file, std::string_view content, mode_t mode) {
  const auto behind = behind_links(file);
  if (!behind) return std::unexpected(behind.error());
  const fs::path& target = *behind;
  struct stat info{};
  const bool there = ::stat(target.c_str(), &info) == 0;
  if (there) {
    if (const auto now = read_file(target); now && *now == content) return false;
    mode = info.st_mode & 07777U;
  }
  watch_folders(target.parent_path());
  watch(target);
  const mode_t folder_mode = (mode & 077U) == 0 ? 0700 : 0755;
  if (auto made = ensure_dir(target.parent_path(), folder_mode); !made)
    return std::unexpected(made.error());
  if (auto wrote = replace_file(target, content, mode); !wrote)
    return std::unexpected(wrote.error());
  changed_ = true;
  return true;
}

Result<bool> FileChanges::remove(const fs::path& file) {
  struct stat info{};
  if (::lstat(file.c_str(), &info) != 0) return false;
  watch(file);
  if (::unlink(file.c_str()) != 0)
    return fail(errno == EACCES || errno == EPERM ? Code::permission : Code::system,
                "file_changes.remove", errno);
  changed_ = true;
  return true;
}

std::vector<fs::path> FileChanges::roll_back() {
  std::vector<fs::path> resisted;
  for (auto before = before_.rbegin(); before != before_.rend(); ++before) {
    std::error_code error;
    if (before->folder_was_there) continue;
    if (before->content) {
      if (const auto now = read_file(before->path); now && *now == *before->content) continue;
      if (!replace_file(before->path, *before->content, before->mode))
        resisted.push_back(before->path);
    } else if (before->mode == 0) {  // it was not there
      fs::remove_all(before->path, error);
      if (error) resisted.push_back(before->path);
    }
  }
  before_.clear();
  return resisted;
}

}  // namespace hm::cli
