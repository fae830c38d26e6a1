#include "common/base/byte_queue.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace hm {

bool ByteQueue::append(Bytes bytes) {
  if (bytes.empty()) return true;
  if (bytes.size() > limit_ || size_ > limit_ - bytes.size()) return false;
  size_ += bytes.size();
  if (!chunks_.empty()) {
    Chunk& last = chunks_.back();
    const size_t take = std::min(bytes.size(), last.capacity - last.end);
    if (take > 0) std::memcpy(last.data.get() + last.end, bytes.data(), take);
    last.end += take;
    bytes = bytes.subspan(take);
  }
  while (!bytes.empty()) {
    // Small messages get small chunks: most idle connections only ever queue a few hundred bytes.
    const size_t capacity = std::clamp<size_t>(bytes.size(), 1024, kChunk);
    Chunk chunk{std::make_unique_for_overwrite<uint8_t[]>(capacity), 0, 0, capacity};
    const size_t take = std::min(bytes.size(), capacity);
    std::memcpy(chunk.data.get(), bytes.data(), take);
    chunk.end = take;
    chunks_.push_back(std::move(chunk));
    bytes = bytes.subspan(take);
  }
  return true;
}

Bytes ByteQueue::front() const {
  if (chunks_.empty()) return {};
  const Chunk& first = chunks_.front();
  return {first.data.get() + first.begin, first.end - first.begin};
}

void ByteQueue::consume(size_t count) {
  assert(count <= size_);
  size_ -= count;
  while (count > 0) {
    Chunk& first = chunks_.front();
    const size_t take = std::min(count, first.end - first.begin);
    first.begin += take;
    count -= take;
    if (first.begin == first.end) chunks_.pop_front();
  }
}

size_t ByteQueue::read(MutBytes out) {
  size_t total = 0;
  while (!out.empty() && !empty()) {
    const Bytes run = front();
    const size_t take = std::min(run.size(), out.size());
    std::memcpy(out.data(), run.data(), take);
    consume(take);
    out = out.subspan(take);
    total += take;
  }
  return total;
}

std::string ByteQueue::copy_all() const {
  std::string all;
  all.reserve(size_);
  for (const Chunk& chunk : chunks_) {
    all.append(reinterpret_cast<const char*>(chunk.data.get()) + chunk.begin,
               chunk.end - chunk.begin);
  }
  return all;
}

void ByteQueue::clear() {
  chunks_.clear();
  size_ = 0;
}

}  // namespace hm
