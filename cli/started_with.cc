#include "cli/started_with.h"

#include <algorithm>

#include "common/base/fs.h"

namespace hm::cli {
namespace {

constexpr size_t kMaxArguments = 1024 * 1024;
constexpr size_t kMaxEnvironment = 4 * 1024 * 1024;

std::string file_of(pid_t pid, const char* leaf) {
  return "/proc/" + std::to_string(pid) + "/" + leaf;
}

std::vector<std::string> parts_of(const std::string& zero_separated) {
  std::vector<std::string> parts;
  for (size_t at = 0; at < zero_separated.size();) {
    const size_t end = std::min(zero_separated.find('\0', at), zero_separated.size());
    parts.push_back(zero_separated.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

}  // namespace

std::vector<std::string> arguments_of(pid_t pid) {
  const auto content = read_file(file_of(pid, "cmdline"), kMaxArguments);
  return content ? parts_of(*content) : std::vector<std::string>();
}

std::optional<Environment> environment_of(pid_t pid) {
  const auto content = read_file(file_of(pid, "environ"), kMaxEnvironment);
  if (!content) return std::nullopt;
  Environment environment;
  for (const std::string& setting : parts_of(*content))
    if (const size_t equals = setting.find('='); equals != std::string::npos)
      environment.emplace(setting.substr(0, equals),
                          setting.substr(equals + 1));  // the first counts
  return environment;
}

}  // namespace hm::cli
