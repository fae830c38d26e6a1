// Writes one JSON document (RFC 8259), two spaces of indent. The caller nests begin and end in
// pairs; commas and escapes are ours. Invalid UTF-8 becomes U+FFFD, so that the output is always a
// valid document.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hm::cli {

[[nodiscard]] std::string json_string(std::string_view text);  // with its quotes

class JsonText {
 public:
  JsonText& begin_object();
  JsonText& end_object();
  JsonText& begin_array();
  JsonText& end_array();
  JsonText& key(std::string_view name);

  JsonText& value(std::string_view text) { return raw(json_string(text)); }
  JsonText& value(const char* text) { return value(std::string_view(text)); }
  JsonText& value(const std::string& text) { return value(std::string_view(text)); }
  JsonText& value(bool flag) { return raw(flag ? "true" : "false"); }
  JsonText& value(double number);
  template <std::integral T>
  JsonText& value(T number) {
    return raw(std::to_string(number));
  }
  template <class T>
  JsonText& value(const std::optional<T>& maybe) {
    return maybe ? value(*maybe) : null();
  }
  JsonText& null() { return raw("null"); }
  JsonText& raw(std::string_view json);  // a number too large for the types above

  template <class T>
  JsonText& member(std::string_view name, const T& content) {
    key(name);
    return value(content);
  }

  [[nodiscard]] std::string take();  // the document and a line end

 private:
  void before_value();
  JsonText& open(char bracket);
  JsonText& close(char bracket);

  std::string out_;
  std::vector<bool> has_members_;
  bool after_key_ = false;
};

}  // namespace hm::cli
