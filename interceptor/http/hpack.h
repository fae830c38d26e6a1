// Undoes the header compression of one direction of an HTTP/2 connection (RFC 7541), through
// nghttp2's inflater. Every block of the direction must pass through here, in order, also those
// nobody wants to know: the table of one block is the ground of the next.
//
// Kept: the dynamic table (at most max_table bytes as RFC 7541 4.1 counts them) and one unfinished
// field, which the inflater limits to 64 KiB a part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace hm::http {

class FieldSink {
 public:
  // Both views die with the call.
  virtual void on_field(std::string_view name, std::string_view value) = 0;

 protected:
  ~FieldSink() = default;
};

class HpackInflater {
 public:
  explicit HpackInflater(uint32_t max_table);
  ~HpackInflater();
  HpackInflater(const HpackInflater&) = delete;
  HpackInflater& operator=(const HpackInflater&) = delete;

  // The reader of this direction has announced SETTINGS_HEADER_TABLE_SIZE. Counts from the next
  // block on, acknowledged or not: a larger table may be used as soon as the writer knows of it,
  // and a smaller one is told by the writer in its first block (RFC 7541 4.2), so a limit is only
  // ever raised here. Beyond max_table the writer's update is an error.
  void allow_table(uint32_t size);

  void begin_block();
  // Fields go to `sink` as they are whole. Error: malformed.
  [[nodiscard]] Result<void> feed(Bytes fragment, FieldSink& sink);
  [[nodiscard]] Result<void> end_block(FieldSink& sink);

 private:
  struct Parts;
  [[nodiscard]] Result<void> inflate(Bytes bytes, bool last, FieldSink& sink);

  std::unique_ptr<Parts> parts_;
  const uint32_t max_table_;
  uint32_t allowed_;
  uint32_t applied_;
};

}  // namespace hm::http
