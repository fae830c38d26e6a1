#include "common/base/fs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "common/base/descriptor.h"
#include "common/base/fleeting_file.h"

namespace hm {
namespace {

std::unexpected<Error> system_failure(const char* where) {
  const int error = errno;
  return fail(code_of_errno(error), where, error);
}

}  // namespace

// $XDG_RUNTIME_DIR. A shell of su, sudo or cron lacks it, and has to find the pair of the session
// all the same.
std::string session_runtime_folder() {
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/')
    return runtime;
  const std::string usual = fmt::format("/run/user/{}", ::getuid());
  struct stat info{};
  const bool ours =
      ::stat(usual.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::getuid();
  return ours ? usual : std::string();
}

Home Home::from_environment() {
  if (const char* moved = std::getenv("HALTON_METER_HOME"); moved != nullptr && *moved != '\0')
    return Home(moved);
  const char* user_home = std::getenv("HOME");
  if (user_home == nullptr || *user_home == '\0') {
    const passwd* entry = ::getpwuid(::getuid());
    user_home = entry != nullptr ? entry->pw_dir : "/";
  }
  return Home(std::filesystem::path(user_home) / ".halton-meter");
}

RunPlace RunPlace::usual(const Home& home) {
  // A moved home is a world of its own: it must not meet the user's real pair in the runtime
  // folder.
  const char* moved = std::getenv("HALTON_METER_HOME");
  const std::string runtime =
      moved == nullptr || *moved == '\0' ? session_runtime_folder() : std::string();
  const std::filesystem::path folder =
      runtime.empty() ? home.root() / "run" : std::filesystem::path(runtime) / "halton-meter";
  return {folder / "edge.sock", folder / "daemon.sock", home.ports()};
}

RunPlace RunPlace::in_folder(const std::filesystem::path& folder) {
  return {folder / "edge.sock", folder / "daemon.sock", folder / "effective-ports.json"};
}

Result<void> ensure_dir(const std::filesystem::path& path, mode_t mode) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return fail(Code::system, "fs.ensure_dir", ENOTDIR);
  }
  if (path.has_parent_path() && path.parent_path() != path) {
    if (auto parent = ensure_dir(path.parent_path(), 0755); !parent) return parent;
  }
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return system_failure("fs.ensure_dir");
  return {};
}

Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_failure("fs.read_file");
  std::string content;
  char buffer[64 * 1024];
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_failure("fs.read_file");
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > max_bytes)
      return fail(Code::too_large, "fs.read_file");
    content.append(buffer, static_cast<size_t>(got));
  }
}

namespace {

Result<void> replace(const std::filesystem::path& path, std::string_view content, mode_t mode,
                     bool over_power_failure) {
  const std::string temporary = fmt::format("{}.new.{}", path.string(), ::getpid());
  ::unlink(temporary.c_str());
  {
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.get() < 0) return system_failure("fs.replace_file.open");
    while (!content.empty()) {
      const ssize_t wrote = ::write(file.get(), content.data(), content.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) {
        auto failure = system_failure("fs.replace_file.write");
        ::unlink(temporary.c_str());
        return failure;
      }
      content.remove_prefix(static_cast<size_t>(wrote));
    }
    ::fchmod(file.get(), mode);  // the umask may have taken bits that the caller asked for
    if (over_power_failure && ::fsync(file.get()) != 0) {
      auto failure = system_failure("fs.replace_file.sync");
      ::unlink(temporary.c_str());
      return failure;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    auto failure = system_failure("fs.replace_file.rename");
    ::unlink(temporary.c_str());
    return failure;
  }
  return {};
}

}  // namespace

Result<void> replace_file(const std::filesystem::path& path, std::string_view content,
                          mode_t mode) {
  return replace(path, content, mode, true);
}

Result<void> replace_fleeting_file(const std::filesystem::path& path, std::string_view content,
                                   mode_t mode) {
  return replace(path, content, mode, false);
}

}  // namespace hm
