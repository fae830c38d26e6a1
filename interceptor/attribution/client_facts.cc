#include "interceptor/attribution/client_facts.h"

#include <string.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/base/fs.h"
#include "common/base/process_stat.h"

namespace hm::attribution {
namespace {

constexpr size_t kMaxEnvironment = 8 * 1024 * 1024;  // ARG_MAX of a large stack
constexpr size_t kMaxArguments = 1024 * 1024;
constexpr size_t kMaxName = 64;
constexpr size_t kMaxValue = 256;

std::string proc_path(int64_t pid, const char* leaf) {
  return "/proc/" + std::to_string(pid) + "/" + leaf;
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

void read_environment(ClientFacts& facts) {
  auto content = read_file(proc_path(facts.pid, "environ"), kMaxEnvironment);
  if (!content) return;
  std::string_view rest = *content;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\0'), rest.size());
    const std::string_view entry = rest.substr(0, end);
    constexpr std::string_view kProject = "HALTON_PROJECT=";
    constexpr std::string_view kRun = "HALTON_METER_RUN=";
    if (entry.starts_with(kProject))
      facts.project = entry.substr(kProject.size()).substr(0, kMaxValue);
    else if (entry.starts_with(kRun))
      facts.run_id = entry.substr(kRun.size()).substr(0, kMaxValue);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  ::explicit_bzero(content->data(), content->size());
}

std::string first_argument(int64_t pid) {
  auto content = read_file(proc_path(pid, "cmdline"), kMaxArguments);
  if (!content) return {};
  std::string first(content->c_str());
  ::explicit_bzero(content->data(), content->size());  // keys are given as flags, too
  return first;
}

}  // namespace

std::string working_folder(int64_t pid) {
  std::error_code error;
  std::string folder = std::filesystem::read_symlink(proc_path(pid, "cwd"), error).string();
  if (error) return {};
  constexpr std::string_view kDeleted = " (deleted)";
  if (folder.ends_with(kDeleted)) folder.resize(folder.size() - kDeleted.size());
  return folder.starts_with('/') ? folder : std::string();
}

std::string program_name(std::string_view command, std::string_view argument) {
  // A title that a program gave itself may go on with anything after the first word.
  std::string_view name = argument.substr(0, argument.find(' '));
  if (name.starts_with('-')) name.remove_prefix(1);  // a login shell
  name = base_name(name);
  const bool thread_name = command.empty() || command.ends_with("MainThread");
  const std::string_view best =
      !name.empty() && (thread_name || name.starts_with(command)) ? name : command;
  std::string out;
  for (const char c : best.substr(0, kMaxName))
    if (c >= ' ' && c < 0x7f) out.push_back(c);
  return out;
}

std::optional<ClientFacts> read_client_facts(int64_t pid) {
  const auto stat = read_process_stat(pid);
  if (!stat) return std::nullopt;
  ClientFacts facts;
  facts.pid = pid;
  facts.parent_pid = stat->parent_pid;
  facts.start_time = stat->start_time;
  facts.name = program_name(stat->command, first_argument(pid));
  facts.cwd = working_folder(pid);
  read_environment(facts);
  // Another process may have taken the number while we read.
  const auto after = read_process_stat(pid);
  if (!after || after->start_time != stat->start_time) return std::nullopt;
  return facts;
}

}  // namespace hm::attribution
