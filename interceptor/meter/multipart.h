// Small text fields of a multipart/form-data body (RFC 7578), as a stream: file parts pass by, only
// values of the named fields are kept. Sans-I/O. Kept: less than one delimiter of body bytes
// between calls, 8 KiB of part header, 256 bytes of value. Anything that is not multipart gives no
// fields.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/bytes.h"

namespace hm::meter {

class Multipart {
 public:
  static constexpr size_t kMaxHeader = 8 * 1024;
  static constexpr size_t kMaxValue = 256;

  // The value of Content-Type.
  explicit Multipart(std::string_view content_type);

  void feed(Bytes bytes);

  // Empty when absent, or longer than kMaxValue.
  [[nodiscard]] std::string_view model() const { return values_[0]; }
  [[nodiscard]] bool stream() const { return values_[1] == "true"; }
  [[nodiscard]] std::string_view stream_format() const { return values_[2]; }

 private:
  enum class State : uint8_t { body, after_delimiter, header, done };
  static constexpr std::array<std::string_view, 3> kFields = {"model", "stream", "stream_format"};

  bool step();
  void keep_value(std::string_view piece);
  void end_part();

  std::string delimiter_;  // CRLF, two hyphens, boundary
  std::string pending_ = "\r\n";
  State state_ = State::body;
  size_t field_ = kFields.size();  // of the part that is being read
  std::string value_;
  bool value_too_long_ = false;
  std::array<std::string, 3> values_;
};

}  // namespace hm::meter
