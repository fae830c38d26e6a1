#include "cli/log_lines.h"

#include <algorithm>
#include <fstream>
#include <system_error>

namespace hm::cli {
namespace {

constexpr std::streamoff kMaxTail = 1024 * 1024;

// From behind the opening quote to the closing one.
std::string unescaped(std::string_view rest) {
  std::string out;
  for (size_t i = 0; i < rest.size() && rest[i] != '"'; ++i) {
    if (rest[i] != '\\' || i + 1 == rest.size()) {
      out += rest[i];
    } else if (rest[++i] == 'u') {
      out += '?';  // control characters: nothing for a terminal
      i += 4;
    } else {
      out += rest[i];
    }
  }
  return out;
}

}  // namespace

std::string log_field(std::string_view line, std::string_view name) {
  const std::string key = '"' + std::string(name) + "\":";
  bool inside = false;  // a text value
  for (size_t i = 0; i < line.size(); ++i) {
    if (!inside && line.substr(i).starts_with(key) && i > 0 &&
        (line[i - 1] == '{' || line[i - 1] == ',')) {
      const std::string_view rest = line.substr(i + key.size());
      if (rest.starts_with('"')) return unescaped(rest.substr(1));
      return std::string(rest.substr(0, rest.find_first_of(",}")));
    }
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      inside = !inside;
    }
  }
  return {};
}

std::vector<std::string> last_log_lines(const std::filesystem::path& log, size_t count) {
  std::ifstream file(log, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const std::streamoff size = file.tellg();
  file.seekg(std::max<std::streamoff>(0, size - kMaxTail));
  std::vector<std::string> lines;
  std::string line;
  if (size > kMaxTail) std::getline(file, line);  // the rest of one
  while (std::getline(file, line)) lines.push_back(std::move(line));
  if (lines.size() > count)
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  return lines;
}

std::vector<std::filesystem::path> rotated_files(const std::filesystem::path& log) {
  std::vector<std::filesystem::path> files;
  std::error_code ignored;
  for (int i = 9; i >= 1; --i) {
    const std::filesystem::path old = log.string() + "." + std::to_string(i);
    if (std::filesystem::exists(old, ignored)) files.push_back(old);
  }
  if (std::filesystem::exists(log, ignored)) files.push_back(log);
  return files;
}

}  // namespace hm::cli
