// Writes one JSON document. The only room of this folder that knows the JSON library. Strings that
// are not UTF-8 (paths, header values) come out with U+FFFD in place of the broken bytes, so that
// every answer is valid JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace hm::api {

class JsonOut {
 public:
  JsonOut();
  ~JsonOut();
  JsonOut(const JsonOut&) = delete;
  JsonOut& operator=(const JsonOut&) = delete;

  JsonOut& begin_object();
  JsonOut& end_object();
  JsonOut& begin_array();
  JsonOut& end_array();
  JsonOut& key(std::string_view name);

  JsonOut& text(std::string_view value);
  JsonOut& integer(int64_t value);
  JsonOut& number(double value);  // null when it is not finite
  JsonOut& boolean(bool value);
  JsonOut& null();
  JsonOut& integer_or_null(std::optional<int64_t> value);

  // The document, once everything that was begun has ended.
  [[nodiscard]] std::string take();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::api
