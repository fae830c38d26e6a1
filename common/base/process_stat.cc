#include "common/base/process_stat.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "common/base/fs.h"

namespace hm {
namespace {

template <class T>
bool to_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view text) {
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  ProcessStat stat;
  stat.command = text.substr(open + 1, close - open - 1);
  text.remove_prefix(close + 1);

  // Fields are counted from 3 (state) here; 4 is the parent, 7 the terminal, 22 the start time.
  int field = 2;
  while (!text.empty()) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
    const size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    ++field;
    if (field == 3 && !word.empty()) stat.state = word.front();
    if (field == 4 && !to_number(word, stat.parent_pid)) return std::nullopt;
    if (field == 7 && !to_number(word, stat.terminal)) return std::nullopt;
    if (field == 22) {
      if (!to_number(word, stat.start_time)) return std::nullopt;
      return stat;
    }
  }
  return std::nullopt;
}

std::optional<ProcessStat> read_process_stat(int64_t pid) {
  const auto content = read_file("/proc/" + std::to_string(pid) + "/stat", 16 * 1024);
  if (!content) return std::nullopt;
  return parse_process_stat(*content);
}

}  // namespace hm
