#include <charconv>

#include "cli/checks/check.h"
#include "cli/text.h"

namespace hm::cli {
namespace {

constexpr int64_t kMiB = 1024 * 1024;

// Of /proc/meminfo, in bytes; -1: not there.
int64_t available_bytes(std::string_view meminfo) {
  constexpr std::string_view kKey = "MemAvailable:";
  size_t at = meminfo.find(kKey);
  if (at == std::string_view::npos) return -1;
  at = meminfo.find_first_not_of(' ', at + kKey.size());
  int64_t kib = -1;
  if (at != std::string_view::npos)
    std::from_chars(meminfo.data() + at, meminfo.data() + meminfo.size(), kib);
  return kib < 0 ? -1 : kib * 1024;
}

Finding run(const Patient& patient) {
  const auto meminfo = read_file("/proc/meminfo", 64 * 1024);
  const auto rss = [](const std::optional<StatusAnswer>& process) {
    return process ? process->number("rss_bytes").value_or(-1) : -1;
  };
  return judge_memory(rss(patient.status.edge), rss(patient.status.daemon),
                      meminfo ? available_bytes(*meminfo) : -1);
}

}  // namespace

Finding judge_memory(int64_t edge, int64_t interceptor, int64_t available) {
  std::string text;
  const auto add = [&](const char* what, int64_t bytes) {
    if (bytes >= 0)
      text +=
          (text.empty() ? "" : ", ") + std::string(what) + " " + thousands(bytes / kMiB) + " MiB";
  };
  add("edge", edge);
  add("interceptor", interceptor);
  add("available", available);
  // Both are bounded: even with every connection in use they stay below this.
  if (edge > 512 * kMiB || interceptor > 1024 * kMiB)
    return {Severity::inconsistent, "a process of ours is too large: " + text,
            "halton-meter doctor --bundle; halton-meter restart"};
  if (available >= 0 && available < 100 * kMiB)
    return {Severity::inconsistent,
            "the machine has little memory left, and may end processes: " + text +
                ". End what needs it, or add swap",
            "ps aux --sort=-rss | head"};
  return text.empty() ? skipped("nothing runs") : fine(text);
}

const Check kMemoryCheck = {"memory", "memory", run};

}  // namespace hm::cli
