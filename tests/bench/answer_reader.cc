#include "tests/bench/answer_reader.h"

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
    find_stamps(arrived_ns);
    if (text_.ends_with("0\r\n\r\n")) whole_ = true;
    if (text_.size() > 64) text_.erase(0, text_.size() - 64);  // a stamp may be cut
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

void AnswerReader::find_stamps(int64_t arrived_ns) {
  size_t from = 0;
  while (true) {
    const size_t at = text_.find('@', from);
    if (at == std::string::npos || text_.size() < at + 1 + kStampSize) break;
    int64_t due = 0;
    std::from_chars(text_.data() + at + 1, text_.data() + at + 1 + kStampSize, due);
    if (delays_ns_.empty()) first_event_ns_ = arrived_ns;
    delays_ns_.push_back(arrived_ns - due);
    from = at + 1 + kStampSize;
  }
  if (from > 0) text_.erase(0, from);
}

}  // namespace hm::bench
