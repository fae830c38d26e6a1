// The fields of one HTTP/2 header block, collected under a limit and turned into a head (RFC 9113
// 8.3). Sans-I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "interceptor/http/exchange.h"
#include "interceptor/http/hpack.h"

namespace hm::http {

class H2Head final : public FieldSink {
 public:
  explicit H2Head(size_t limit) : limit_(limit) {}

  // A block that is not wanted is decompressed all the same, and none of it kept.
  void begin(bool wanted);
  void on_field(std::string_view name, std::string_view value) override;

  // More than the limit, counted as RFC 9113 6.5.2 does (32 bytes beside each field); the rest was
  // not kept.
  [[nodiscard]] bool too_large() const { return size_ > limit_; }

  // Each takes what was collected. Error: malformed (a pseudo-header field is missing or is none).
  [[nodiscard]] Result<RequestHead> take_request();
  [[nodiscard]] Result<ResponseHead> take_response();
  [[nodiscard]] std::vector<Header> take_fields();

 private:
  void keep_pseudo(std::string_view name, std::string_view value);

  const size_t limit_;
  bool wanted_ = false;
  size_t size_ = 0;
  std::string method_, path_, authority_, protocol_, status_;
  std::vector<Header> fields_;
};

}  // namespace hm::http
