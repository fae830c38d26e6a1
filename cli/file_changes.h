// Every change that an installation makes to files goes through here, so that it can be taken back
// (`init --clean`). What is there already is not written again: a second run changes nothing.
// Blocks.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace hm::cli {

class FileChanges {
 public:
  // True: something changed. Follows a symbolic link to the file (dotfiles often are one), also to
  // one that is not there yet when its folder is, and keeps the mode of a file that is there.
  [[nodiscard]] Result<bool> write(const std::filesystem::path& file, std::string_view content,
                                   mode_t mode);
  [[nodiscard]] Result<bool> remove(const std::filesystem::path& file);
  // Somebody else is going to change this file, or to make and fill this folder.
  void watch(const std::filesystem::path& path);
  // The same, and what is there already is data: it stays as it will be.
  void watch_new(const std::filesystem::path& path);

  [[nodiscard]] bool changed() const { return changed_; }
  // Folders that write() made, the outer ones first.
  [[nodiscard]] const std::vector<std::filesystem::path>& made_folders() const {
    return made_folders_;
  }
  // The latest first; folders that were not there before go too. The paths that resisted.
  std::vector<std::filesystem::path> roll_back();

 private:
  struct Before {
    std::filesystem::path path;
    std::optional<std::string> content;  // of a file that was there
    mode_t mode = 0;
    bool folder_was_there = false;
  };
  void watch_folders(const std::filesystem::path& folder);

  std::vector<Before> before_;
  std::vector<std::filesystem::path> made_folders_;
  bool changed_ = false;
};

}  // namespace hm::cli
