// Heads of HTTP/1.x messages (RFC 9112 2 to 5): collecting one, and reading what was collected. As
// generous as the clients are: bare LF ends a line, folded lines are joined, blanks before a colon
// are dropped, lines without a colon are skipped, empty lines before a start line do not count.
//
// Why not llhttp: version 8.1, with all its leniency flags on, refuses what real clients accept
// (bare LF around chunks, blanks behind a chunk size, the same Content-Length twice, methods it
// does not know) and puts no cap on a head. An observer must not lose a connection that both of its
// ends are happy with.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "interceptor/http/exchange.h"

namespace hm::http {

// Collects one head, or one trailer section, up to and with its empty line.
class HeadReader {
 public:
  enum class Kind : uint8_t { head, trailers };  // trailers have no start line: may be empty

  HeadReader(Kind kind, size_t limit) : limit_(limit), kind_(kind) {}

  // Returns how many bytes belong to the head; fewer than given only when it is done(). too_large
  // above the limit.
  [[nodiscard]] Result<size_t> feed(Bytes bytes);
  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] std::string_view text() const { return text_; }  // the empty line left off
  void reset();                                                  // ready for the next one

 private:
  std::string text_;
  size_t line_begin_ = 0;
  size_t limit_;
  Kind kind_;
  bool done_ = false;
};

// Errors: malformed; unsupported for a version other than 1.x; too_large above 1024 fields.
[[nodiscard]] Result<RequestHead> parse_request_head(std::string_view text);
[[nodiscard]] Result<ResponseHead> parse_response_head(std::string_view text);
[[nodiscard]] Result<std::vector<Header>> parse_fields(std::string_view text);

// Is `token` one of the comma-separated elements of any field called `name` (lower case)? Compared
// without regard to case; parameters after ; are cut off.
[[nodiscard]] bool has_token(const std::vector<Header>& headers, std::string_view name,
                             std::string_view token);

}  // namespace hm::http
