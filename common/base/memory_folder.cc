#include "common/base/memory_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>

#include "common/base/descriptor.h"
#include "common/base/fnv.h"
#include "common/base/fs.h"

namespace hm {
namespace {

constexpr const char* kShared = "/dev/shm";
constexpr const char* kSessionName = "halton-meter";  // the sockets' folder

std::string own_name() {
  return fmt::format("halton-meter-{}", ::geteuid());
}

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

bool in_memory(int folder) {
  struct statfs info{};
  if (::fstatfs(folder, &info) != 0) return false;
  return info.f_type == TMPFS_MAGIC ||
         info.f_type == static_cast<decltype(info.f_type)>(RAMFS_MAGIC);
}

// Nobody but us and root may rename what we own in there.
bool keeps_our_names(int folder) {
  struct stat info{};
  if (::fstat(folder, &info) != 0) return false;
  const bool others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (others_write && (info.st_mode & S_ISVTX) == 0) return false;
  return info.st_uid == 0 || info.st_uid == ::geteuid();
}

Result<Descriptor> folder_in(int parent, const std::string& name) {
  if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(Code::system, "memory_folder.make", errno);
  Descriptor folder(::openat(parent, name.c_str(), kFolderFlags));
  if (!folder.valid()) return fail(Code::system, "memory_folder.open", errno);
  struct stat info{};
  if (::fstat(folder.get(), &info) != 0) return fail(Code::system, "memory_folder.stat", errno);
  if (info.st_uid != ::geteuid() || (info.st_mode & 077) != 0)
    return fail(Code::permission, "memory_folder.owner");
  if (!in_memory(folder.get())) return fail(Code::refused, "memory_folder.on_a_disk");
  return folder;
}

std::string print_of(std::string_view text) {
  return fmt::format("{:016x}", fnv1a_64(text));
}

}  // namespace

Result<std::filesystem::path> private_memory_folder(const std::filesystem::path& parent,
                                                    const std::string& name,
                                                    const std::string& inner) {
  const Descriptor above(::open(parent.c_str(), kFolderFlags));
  if (!above.valid()) return fail(Code::not_found, "memory_folder.parent", errno);
  if (!in_memory(above.get())) return fail(Code::refused, "memory_folder.on_a_disk");
  if (!keeps_our_names(above.get())) return fail(Code::permission, "memory_folder.parent");
  const auto ours = folder_in(above.get(), name);
  if (!ours) return std::unexpected(ours.error());
  const auto inside = folder_in(ours->get(), inner);
  if (!inside) return std::unexpected(inside.error());
  return parent / name / inner;
}

std::vector<std::filesystem::path> memory_folders(const std::filesystem::path& home) {
  // Processes that came to the home by different paths have to meet.
  std::error_code error;
  auto real = std::filesystem::weakly_canonical(home, error);
  if (error) real = home;
  const std::string inner = "ledgers-" + print_of(real.string());
  std::vector<std::filesystem::path> found;
  // /dev/shm first: it outlasts the session, and everybody finds it.
  if (auto shared = private_memory_folder(kShared, own_name(), inner))
    found.push_back(std::move(*shared));
  // The session's is made only where there is no other.
  const std::filesystem::path session = session_runtime_folder();
  const auto there = session / kSessionName / inner;
  if (!session.empty() && (found.empty() || std::filesystem::exists(there, error))) {
    if (auto folder = private_memory_folder(session, kSessionName, inner))
      found.push_back(std::move(*folder));
  }
  return found;
}

void remove_memory_folders(const std::filesystem::path& home, bool with_files) {
  for (const std::filesystem::path& folder : memory_folders(home)) {
    std::error_code ignored;
    if (with_files) std::filesystem::remove_all(folder, ignored);
    ::rmdir(folder.c_str());
    ::rmdir(folder.parent_path().c_str());
  }
}

}  // namespace hm
