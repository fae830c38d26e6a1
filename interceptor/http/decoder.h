// Undoes the Content-Encoding of one body in one direction (RFC 9110 8.4), as a stream: what can be
// decoded from the bytes so far is given out before feed() returns, so that an event which a server
// flushed arrives when its bytes do. Sans-I/O; used on the loop of its owner.
//
// Codings: identity, gzip and x-gzip (several members), deflate (zlib-wrapped, or raw as some
// servers send it), br, zstd (several frames), and lists of up to four ("gzip, br"), undone from
// the right. Bytes after the end of a stream are ignored, as browsers do.
//
// Errors (it stays in them): unsupported (from create(): an unknown coding, a list too long);
// malformed; too_large (output or ratio budget spent, window above the limit); exhausted (no
// memory). What came out before an error was already given to the sink and is good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace hm::http {

// How much of one body is decoded, as configured ([intercept] decoded_limit_mib). Any thread; what
// has begun keeps the limit that it had.
[[nodiscard]] uint64_t decoded_limit();
void set_decoded_limit(uint64_t bytes);

struct DecoderLimits {
  uint64_t max_output = decoded_limit();  // the last coding undone, and each between
  // A bomb is told by its ratio, not looked at below `ratio_floor` bytes of output. Identity is
  // exempt.
  uint64_t max_ratio = 250;
  uint64_t ratio_floor = 1024 * 1024;
  int max_window_log = 24;  // zstd, in bits: 16 MiB. (br cannot ask for more, gzip has 32 KiB.)
};

class DecodedSink {
 public:
  virtual void on_decoded(Bytes bytes) = 0;  // never empty; dies with the call

 protected:
  ~DecodedSink() = default;
};

class Decoder {
 public:
  // The value of Content-Encoding; empty is identity. The sink must outlive the decoder.
  [[nodiscard]] static Result<std::unique_ptr<Decoder>> create(std::string_view content_encoding,
                                                               const DecoderLimits& limits,
                                                               DecodedSink& sink);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  [[nodiscard]] Result<void> feed(Bytes bytes);
  // The body ended. A stream that was cut is no error: truncated() tells.
  [[nodiscard]] Result<void> finish();

  // After finish(): the body ended inside a compressed stream. An empty body is not truncated.
  [[nodiscard]] bool truncated() const;
  [[nodiscard]] bool is_identity() const;
  [[nodiscard]] uint64_t bytes_in() const;
  [[nodiscard]] uint64_t bytes_out() const;

 private:
  struct Parts;
  explicit Decoder(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::http
