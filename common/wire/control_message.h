// What the control sockets say: one request line, an answer of key=value lines. No JSON, so that
// the edge needs no library for it. Pure.
//
//   request   "hm/1 status" [arguments separated by blanks]
//   answer    "protocol=1\npid=4711\nhost=a\\nb\n" ...; an error is the one line "error=..."
//
// In values, line feed, carriage return and backslash are written \n, \r and \\. Keys may repeat.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace hm::wire {

struct ControlRequestLine {
  std::string verb;
  std::vector<std::string> arguments;  // as sent: "upto=5"
};

// malformed: not this protocol or not this version.
[[nodiscard]] Result<ControlRequestLine> parse_control_request(std::string_view line);
[[nodiscard]] std::string control_request(std::string_view verb,
                                          const std::vector<std::string>& arguments = {});

class ControlAnswer {
 public:
  ControlAnswer();  // begins with protocol=1
  ControlAnswer& add(std::string_view key, std::string_view value);
  ControlAnswer& add(std::string_view key, int64_t value);
  [[nodiscard]] const std::string& text() const { return text_; }

  [[nodiscard]] static std::string error(std::string_view sentence);

 private:
  std::string text_;
};

class ControlFields {
 public:
  // malformed: a line without '=', or more than 100,000 lines.
  [[nodiscard]] static Result<ControlFields> parse(std::string_view text);

  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;  // the first
  [[nodiscard]] std::optional<int64_t> number(std::string_view key) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const {
    return fields_;
  }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Several facts in one value, for lists: "host=a count=3 detail=two%20words". Blank, '%', '=' and
// control characters are percent-encoded.
[[nodiscard]] std::string pack_fields(
    const std::vector<std::pair<std::string_view, std::string>>& fields);
[[nodiscard]] std::vector<std::pair<std::string, std::string>> unpack_fields(std::string_view text);

}  // namespace hm::wire
