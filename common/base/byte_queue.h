// Chunked FIFO of bytes with a limit. TLS records wait in it, and a saved ClientHello is read from
// it twice. Appending never moves what is already inside; consuming from the front is O(1).
//
// Not thread-safe. When full: append() refuses the whole span and changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "common/base/bytes.h"

namespace hm {

class ByteQueue {
 public:
  static constexpr size_t kChunk = 16 * 1024;

  explicit ByteQueue(size_t limit = SIZE_MAX) : limit_(limit) {}

  // False when size() + bytes.size() would pass the limit; nothing is taken then.
  [[nodiscard]] bool append(Bytes bytes);

  // The first contiguous run; empty only when the queue is. Valid until the next non-const call.
  [[nodiscard]] Bytes front() const;
  void consume(size_t count);  // count <= size()

  // Copies up to out.size() bytes from the front and consumes them; returns how many.
  size_t read(MutBytes out);

  [[nodiscard]] std::string copy_all() const;  // everything inside, consumed by nobody

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] size_t limit() const { return limit_; }
  void set_limit(size_t limit) { limit_ = limit; }
  void clear();

 private:
  struct Chunk {
    std::unique_ptr<uint8_t[]> data;
    size_t begin = 0;
    size_t end = 0;
    size_t capacity = 0;
  };

  std::deque<Chunk> chunks_;
  size_t size_ = 0;
  size_t limit_;
};

}  // namespace hm
