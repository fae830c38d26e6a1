#include "cli/text.h"

#include <algorithm>

namespace hm::cli {
namespace {

// How many bytes the first `count` code points take.
size_t bytes_of(std::string_view utf8, size_t count) {
  size_t seen = 0;
  size_t end = 0;
  while (end < utf8.size()) {
    if ((static_cast<unsigned char>(utf8[end]) & 0xc0) != 0x80 && ++seen > count) break;
    ++end;
  }
  return end;
}

}  // namespace

std::string thousands(int64_t value) {
  const std::string digits = std::to_string(value);
  const size_t sign = value < 0 ? 1 : 0;
  std::string out = digits.substr(0, sign);
  for (size_t i = sign; i < digits.size(); ++i) {
    if (i != sign && (digits.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out;
}

std::string per_mille_text(std::optional<int64_t> share) {
  if (!share) return "-";
  return std::to_string(*share / 10) + "." + std::to_string(*share % 10) + " %";
}

std::string milliseconds(std::optional<int64_t> value) {
  return value ? thousands(*value) + " ms" : "-";
}

std::string printable(std::string_view text) {
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<unsigned char>(out[i]);
    if (byte < 0x20 || byte == 0x7f) out[i] = '?';
    // U+0080 to U+009F: C1 controls, some terminals obey them.
    if (byte == 0xc2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xa0) {
      out[i] = '?';
      out.erase(i + 1, 1);
    }
  }
  return out;
}

size_t display_width(std::string_view utf8) {
  return static_cast<size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string fit(std::string_view utf8, size_t width) {
  if (display_width(utf8) <= width) return std::string(utf8);
  const std::string_view dots = width >= 6 ? "..." : "";
  return std::string(utf8.substr(0, bytes_of(utf8, width - dots.size()))) + std::string(dots);
}

std::vector<std::string> wrapped(std::string_view utf8, size_t width) {
  std::vector<std::string> lines;
  while (width > 0 && display_width(utf8) > width) {
    const size_t most = bytes_of(utf8, width);
    size_t end = utf8.substr(0, most + 1).rfind(' ');
    if (end == std::string_view::npos || end == 0) end = utf8.substr(0, most).rfind('/') + 1;
    if (end == 0 || end == 1) end = most;
    lines.emplace_back(utf8.substr(0, end));
    utf8.remove_prefix(end);
    utf8.remove_prefix(std::min(utf8.find_first_not_of(' '), utf8.size()));
  }
  if (!utf8.empty() || lines.empty()) lines.emplace_back(utf8);
  return lines;
}

std::string csv_field(std::string_view text) {
  std::string field(text);
  if (!field.empty() && std::string_view("=+-@\t\r").find(field[0]) != std::string_view::npos) {
    const bool number = field.find_first_not_of("0123456789.-") == std::string::npos;
    if (!number) field.insert(0, "'");
  }
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string out = "\"";
  for (const char c : field) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace hm::cli
