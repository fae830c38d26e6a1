#include "cli/user_places.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hm::cli {

std::filesystem::path user_home(const Environment& environment) {
  if (const std::string_view home = look_up(environment, "HOME"); home.starts_with('/'))
    return home;
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? entry->pw_dir : "/";
}

std::filesystem::path user_config(const Environment& environment) {
  const std::string_view config = look_up(environment, "XDG_CONFIG_HOME");
  return config.starts_with('/') ? std::filesystem::path(config)
                                 : user_home(environment) / ".config";
}

std::string user_name(const Environment& environment) {
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? entry->pw_name : std::string(look_up(environment, "USER"));
}

std::filesystem::path runtime_folder(const Environment& environment) {
  if (const std::string_view folder = look_up(environment, "XDG_RUNTIME_DIR");
      folder.starts_with('/'))
    return folder;
  const std::string usual = "/run/user/" + std::to_string(::getuid());
  struct stat info{};
  const bool there =
      ::stat(usual.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::getuid();
  return there ? std::filesystem::path(usual) : std::filesystem::path();
}

bool home_is_moved(const Environment& environment) {
  return !look_up(environment, "HALTON_METER_HOME").empty();
}

}  // namespace hm::cli
