#include "cli/carrying.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cli/text.h"
#include "common/base/fs.h"
#include "common/base/proc_sockets.h"

namespace hm::cli {

std::vector<CarryingProcess> processes_carrying(const std::string& setting) {
  std::vector<CarryingProcess> found;
  const std::string middle = std::string(1, '\0') + setting + std::string(1, '\0');
  for (const int64_t pid : processes_of(::getuid())) {
    if (pid == ::getpid()) continue;
    const auto folder = std::filesystem::path("/proc") / std::to_string(pid);
    const auto environment = read_file(folder / "environ", 4 * 1024 * 1024);
    if (!environment || environment->empty()) continue;
    std::string text(1, '\0');
    text += *environment + std::string(1, '\0');
    if (text.find(middle) == std::string::npos) continue;
    const auto name = read_file(folder / "comm", 256);
    found.push_back(
        {static_cast<pid_t>(pid),
         name ? printable(std::string_view(*name).substr(0, name->find('\n'))) : std::string()});
  }
  std::ranges::sort(found, {}, &CarryingProcess::pid);
  return found;
}

}  // namespace hm::cli
