// Where the body of an HTTP/1.x message ends (RFC 9112 6 and 7), and the reader that finds it. The
// chunked coding is undone; bodies come out as spans of the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"
#include "interceptor/http/exchange.h"
#include "interceptor/http/h1_head.h"

namespace hm::http {

struct BodyFraming {
  enum class Kind : uint8_t { none, length, chunked, until_close };
  Kind kind = Kind::none;
  uint64_t length = 0;
};

// RFC 9112 6.3. Errors: malformed (Content-Length that is no number, or two that differ);
// unsupported (a transfer coding other than chunked). Transfer-Encoding wins over Content-Length.
[[nodiscard]] Result<BodyFraming> request_framing(const RequestHead& head);
// Of a final response other than 101 and a 2xx to CONNECT, which have no body but a tunnel.
[[nodiscard]] Result<BodyFraming> response_framing(const ResponseHead& head, bool to_head_request);

class BodyReader {
 public:
  static constexpr size_t kMaxChunkLine = 4 * 1024;  // chunk size with its extensions

  explicit BodyReader(size_t max_trailers) : trailers_(HeadReader::Kind::trailers, max_trailers) {}

  void begin(const BodyFraming& framing);  // afterwards done() when there is no body

  struct Step {
    size_t used = 0;  // at least 1 while not done
    Bytes body;       // a part of the input, often empty
  };
  [[nodiscard]] Result<Step> feed(Bytes bytes);  // not empty, not when done
  [[nodiscard]] bool done() const { return state_ == State::done; }
  [[nodiscard]] bool until_close() const { return state_ == State::until_close; }
  // The trailer section as text for parse_fields(), until the next begin(). Often empty.
  [[nodiscard]] std::string_view trailers() const { return trailers_.text(); }

 private:
  enum class State : uint8_t {
    done,
    length,
    until_close,
    size_start,  // blanks before the first digit of a chunk size
    size,
    extension,  // the rest of that line
    chunk,
    chunk_end,  // CRLF or LF behind the data
    trailers,
  };

  [[nodiscard]] Result<size_t> chunk_line(Bytes bytes);
  [[nodiscard]] Result<void> chunk_line_char(char c);

  State state_ = State::done;
  bool seen_cr_ = false;
  size_t line_bytes_ = 0;
  uint64_t left_ = 0;  // of the body, or of the chunk
  HeadReader trailers_;
};

}  // namespace hm::http
