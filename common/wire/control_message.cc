#include "common/wire/control_message.h"

#include <charconv>

#include "common/wire/ask.h"

namespace hm::wire {
namespace {

constexpr size_t kMaxLines = 100'000;

std::string_view cut(std::string_view& rest, char separator) {
  const size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return part;
}

std::string unescape(std::string_view value) {
  std::string text;
  text.reserve(value.size());
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\\' || i + 1 == value.size()) {
      text += value[i];
      continue;
    }
    const char next = value[++i];
    text += next == 'n' ? '\n' : next == 'r' ? '\r' : next;
  }
  return text;
}

void append_escaped(std::string& text, std::string_view value) {
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (c == '\\') {
      text += "\\\\";
    } else {
      text += c;
    }
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

Result<ControlRequestLine> parse_control_request(std::string_view line) {
  std::string_view rest = line;
  while (rest.ends_with('\r') || rest.ends_with('\n')) rest.remove_suffix(1);
  if (rest.find_first_of("\r\n") != std::string_view::npos)
    return fail(Code::malformed, "control.line");
  if (cut(rest, ' ') != kControlVersion) return fail(Code::malformed, "control.version");
  ControlRequestLine request;
  request.verb = cut(rest, ' ');
  if (request.verb.empty()) return fail(Code::malformed, "control.verb");
  while (!rest.empty()) {
    const std::string_view argument = cut(rest, ' ');
    if (!argument.empty()) request.arguments.emplace_back(argument);
  }
  return request;
}

std::string control_request(std::string_view verb, const std::vector<std::string>& arguments) {
  std::string line = std::string(kControlVersion) + ' ' + std::string(verb);
  for (const std::string& argument : arguments) line += ' ' + argument;
  return line;
}

ControlAnswer::ControlAnswer() : text_("protocol=1\n") {}

ControlAnswer& ControlAnswer::add(std::string_view key, std::string_view value) {
  text_ += key;
  text_ += '=';
  append_escaped(text_, value);
  text_ += '\n';
  return *this;
}

ControlAnswer& ControlAnswer::add(std::string_view key, int64_t value) {
  return add(key, std::string_view(std::to_string(value)));
}

std::string ControlAnswer::error(std::string_view sentence) {
  std::string text = "error=";
  append_escaped(text, sentence);
  return text + '\n';
}

Result<ControlFields> ControlFields::parse(std::string_view text) {
  ControlFields fields;
  while (!text.empty()) {
    const std::string_view line = cut(text, '\n');
    if (line.empty()) continue;
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || fields.fields_.size() == kMaxLines)
      return fail(Code::malformed, "control.answer");
    fields.fields_.emplace_back(line.substr(0, equals), unescape(line.substr(equals + 1)));
  }
  return fields;
}

std::optional<std::string_view> ControlFields::find(std::string_view key) const {
  for (const auto& [name, value] : fields_) {
    if (name == key) return value;
  }
  return std::nullopt;
}

std::optional<int64_t> ControlFields::number(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  int64_t number = 0;
  const auto parsed = std::from_chars(value->data(), value->data() + value->size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != value->data() + value->size()) return std::nullopt;
  return number;
}

std::string pack_fields(const std::vector<std::pair<std::string_view, std::string>>& fields) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string text;
  for (const auto& [key, value] : fields) {
    if (!text.empty()) text += ' ';
    text += key;
    text += '=';
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte > 0x20 && byte != 0x7f && c != '%' && c != '=') {
        text += c;
        continue;
      }
      text += '%';
      text += kHex[byte >> 4];
      text += kHex[byte & 15];
    }
  }
  return text;
}

std::vector<std::pair<std::string, std::string>> unpack_fields(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> fields;
  while (!text.empty()) {
    std::string_view part = cut(text, ' ');
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    std::string value;
    const std::string_view encoded = part.substr(equals + 1);
    for (size_t i = 0; i < encoded.size(); ++i) {
      const int high = i + 2 < encoded.size() ? hex_digit(encoded[i + 1]) : -1;
      const int low = i + 2 < encoded.size() ? hex_digit(encoded[i + 2]) : -1;
      if (encoded[i] == '%' && high >= 0 && low >= 0) {
        value += static_cast<char>(high * 16 + low);
        i += 2;
      } else {
        value += encoded[i];
      }
    }
    fields.emplace_back(part.substr(0, equals), std::move(value));
  }
  return fields;
}

}  // namespace hm::wire
