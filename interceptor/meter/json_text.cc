#include "interceptor/meter/json_text.h"

#include <charconv>
#include <cstdint>

namespace hm::meter {
namespace {

std::optional<uint32_t> hex4(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 4, value, 16);
  if (error != std::errc{} || end != text.data() + 4) return std::nullopt;
  return value;
}

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

// `text` begins behind "\u". Returns how many characters were used, 0 when they are no escape.
size_t unescape_unicode(std::string_view text, std::string& out) {
  const auto first = hex4(text);
  if (!first) return 0;
  if (*first >= 0xD800 && *first < 0xDC00 && text.substr(4).starts_with("\\u")) {
    if (const auto second = hex4(text.substr(6)); second && *second >= 0xDC00 && *second < 0xE000) {
      append_utf8(out, 0x10000 + ((*first - 0xD800) << 10) + (*second - 0xDC00));
      return 10;
    }
  }
  append_utf8(out, *first >= 0xD800 && *first < 0xE000 ? 0xFFFD : *first);
  return 4;
}

}  // namespace

std::optional<std::string> unescape(std::string_view inside) {
  std::string out;
  out.reserve(inside.size());
  for (size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\') {
      out.push_back(inside[i]);
      continue;
    }
    if (++i == inside.size()) return std::nullopt;
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    if (const size_t at = kNames.find(inside[i]); at != std::string_view::npos) {
      out.push_back(kMeant[at]);
      continue;
    }
    const size_t used = inside[i] == 'u' ? unescape_unicode(inside.substr(i + 1), out) : 0;
    if (used == 0) return std::nullopt;
    i += used;
  }
  return out;
}

std::optional<std::string> string_of(std::string_view json) {
  if (json.size() < 2 || json.front() != '"' || json.back() != '"') return std::nullopt;
  json = json.substr(1, json.size() - 2);
  if (json.find('\\') == std::string_view::npos) return std::string(json);
  return unescape(json);
}

}  // namespace hm::meter
