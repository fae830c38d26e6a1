#include "common/base/utf8.h"

#include <cstdint>
#include <cstring>

namespace hm {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

}  // namespace

// The table as it stands in the standard, row by row.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
size_t utf8_sequence_length(std::string_view text) {
  const auto at = [&](size_t index) {
    return index < text.size() ? static_cast<uint8_t>(text[index]) : uint8_t{0};
  };
  const auto follows = [&](size_t index) { return (at(index) & 0xc0) == 0x80; };
  const uint8_t first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (first == 0xe0 && at(1) < 0xa0) return 0;  // longer than needed
    if (first == 0xed && at(1) > 0x9f) return 0;  // a surrogate
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (first == 0xf0 && at(1) < 0x90) return 0;
    if (first == 0xf4 && at(1) > 0x8f) return 0;  // above U+10FFFF
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

bool is_clean_text(std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<uint8_t>(text[0]);
    if (text.size() < sizeof(uint64_t) && first > 0 && first < 0x80) {  // most text is ASCII
      text.remove_prefix(1);
      continue;
    }
    uint64_t eight = 0;
    if (text.size() >= sizeof eight) {
      std::memcpy(&eight, text.data(), sizeof eight);
      constexpr uint64_t kHigh = 0x8080808080808080;
      constexpr uint64_t kLow = 0x0101010101010101;
      // No byte with its highest bit, and none that is zero.
      if (((eight | (eight - kLow)) & kHigh) == 0) {
        text.remove_prefix(sizeof eight);
        continue;
      }
    }
    const size_t length = utf8_sequence_length(text);
    if (length == 0 || text[0] == '\0') return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string clean_text(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const size_t length = text[0] == '\0' ? 0 : utf8_sequence_length(text);
    clean += length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return clean;
}

}  // namespace hm
