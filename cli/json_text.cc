#include "cli/json_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "common/base/utf8.h"

namespace hm::cli {
std::string json_string(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "\"";
  while (!text.empty()) {
    const size_t length = utf8_sequence_length(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
      continue;
    }
    const char c = text[0];
    const auto byte = static_cast<unsigned char>(c);
    if (length > 1) {
      out += text.substr(0, length);
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    } else {
      out.push_back(c);
    }
    text.remove_prefix(length);
  }
  return out + "\"";
}

void JsonText::before_value() {
  if (std::exchange(after_key_, false)) return;
  if (has_members_.empty()) return;
  if (has_members_.back()) out_.push_back(',');
  has_members_.back() = true;
  out_.push_back('\n');
  out_.append(has_members_.size() * 2, ' ');
}

JsonText& JsonText::open(char bracket) {
  before_value();
  out_.push_back(bracket);
  has_members_.push_back(false);
  return *this;
}

JsonText& JsonText::close(char bracket) {
  const bool filled = has_members_.back();
  has_members_.pop_back();
  if (filled) {
    out_.push_back('\n');
    out_.append(has_members_.size() * 2, ' ');
  }
  out_.push_back(bracket);
  return *this;
}

JsonText& JsonText::begin_object() {
  return open('{');
}
JsonText& JsonText::end_object() {
  return close('}');
}
JsonText& JsonText::begin_array() {
  return open('[');
}
JsonText& JsonText::end_array() {
  return close(']');
}

JsonText& JsonText::key(std::string_view name) {
  before_value();
  out_ += json_string(name);
  out_ += ": ";
  after_key_ = true;
  return *this;
}

JsonText& JsonText::value(double number) {
  if (!std::isfinite(number)) return null();
  std::array<char, 32> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  return error == std::errc() ? raw({buffer.data(), end}) : null();
}

JsonText& JsonText::raw(std::string_view json) {
  before_value();
  out_ += json;
  return *this;
}

std::string JsonText::take() {
  std::string document = std::move(out_);
  *this = JsonText();
  document.push_back('\n');
  return document;
}

}  // namespace hm::cli
