#include "cli/restarts.h"

#include <algorithm>
#include <fstream>

#include "cli/log_lines.h"

namespace hm::cli {

int64_t restarts_lately(const Restarts& restarts) {
  const bool calm = restarts.active_for_us >= kLatelyUs;
  if (calm) return 0;
  return restarts.logged > 0 ? std::min(restarts.all, restarts.logged) : restarts.all;
}

int64_t starts_in_log(const std::filesystem::path& log, std::string_view process,
                      int64_t since_wall_us) {
  const std::string since = iso8601_utc(since_wall_us);
  const std::string event = std::string(process) + ".startup.";
  int64_t count = 0;
  for (const auto& file : rotated_files(log)) {
    std::ifstream stream(file, std::ios::binary);
    for (std::string line; std::getline(stream, line);) {
      if (line.find(event) == std::string::npos) continue;
      const std::string name = log_field(line, "event");
      if ((name == event + "ready" || name == event + "failed") && log_field(line, "at") >= since)
        ++count;
    }
  }
  return count;
}

}  // namespace hm::cli
