#include "tests/bench/answer_reader.h"

#include <algorithm>
#include <charconv>

#include "tests/bench/bench_socket.h"

namespace hm::bench {
namespace {

constexpr size_t kStampSize = 19;

bool lower_equal(char a, char b) {
  return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
}

size_t find_header(std::string_view head, std::string_view lower_name) {
  for (size_t at = 0; at + lower_name.size() <= head.size(); ++at) {
    size_t same = 0;
    while (same < lower_name.size() && lower_equal(head[at + same], lower_name[same])) ++same;
    if (same == lower_name.size()) return at + same;
  }
  return std::string_view::npos;
}

}  // namespace

void AnswerReader::feed(std::string_view bytes, int64_t arrived_ns) {
  text_ += bytes;
  if (!head_seen_) take_head();
  if (!head_seen_) return;
  if (chunked_) {
    take_chunks(arrived_ns);
    return;
  }
  body_left_ -= static_cast<int64_t>(text_.size());
  text_.clear();
  if (body_left_ <= 0) whole_ = true;
}

void AnswerReader::take_head() {
  const size_t end = text_.find("\r\n\r\n");
  if (end == std::string::npos) return;
  const std::string_view head(text_.data(), end + 2);
  if (head.find(" 200 ") == std::string_view::npos)
    die("the answer is not 200: " + std::string(head));
  const size_t length = find_header(head, "\r\ncontent-length:");
  chunked_ = length == std::string_view::npos;
  if (!chunked_) {
    const size_t digits = head.find_first_not_of(' ', length);
    std::from_chars(head.data() + digits, head.data() + head.size(), body_left_);
  }
  head_seen_ = true;
  text_.erase(0, end + 4);
}

void AnswerReader::take_chunks(int64_t arrived_ns) {
  while (!whole_ && !text_.empty()) {
    if (chunk_left_ == 0 && !open_chunk()) break;
    const size_t part = std::min(chunk_left_, text_.size());
    body_.append(text_, 0, part);
    text_.erase(0, part);
    chunk_left_ -= part;
  }
  find_stamps(arrived_ns);
  if (body_.size() > kStampSize) body_.erase(0, body_.size() - kStampSize);
}

// The line that tells the next chunk's size; the end of the one before it comes along. False: more
// bytes are needed, or there is no next one.
bool AnswerReader::open_chunk() {
  const size_t begin = first_chunk_ ? 0 : 2;
  const size_t end = text_.find("\r\n", begin);
  if (end == std::string::npos) return false;
  if (std::from_chars(text_.data() + begin, text_.data() + end, chunk_left_, 16).ec != std::errc())
    die("a chunk without a size");
  if (chunk_left_ == 0) {  // the last one; no trailers are sent here
    whole_ = text_.size() >= end + 4;
    return false;
  }
  first_chunk_ = false;
  text_.erase(0, end + 2);
  return true;
}

void AnswerReader::find_stamps(int64_t arrived_ns) {
  size_t from = 0;
  while (true) {
    const size_t at = body_.find('@', from);
    if (at == std::string::npos || body_.size() < at + 1 + kStampSize) break;
    int64_t due = 0;
    std::from_chars(body_.data() + at + 1, body_.data() + at + 1 + kStampSize, due);
    if (delays_ns_.empty()) first_event_ns_ = arrived_ns;
    delays_ns_.push_back(arrived_ns - due);
    from = at + 1 + kStampSize;
  }
  if (from > 0) body_.erase(0, from);
}

}  // namespace hm::bench
