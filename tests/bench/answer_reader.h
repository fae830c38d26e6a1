// Reads one HTTP/1.1 answer of bench_origin (or what a proxy made of it) as it arrives: knows when
// it is whole, and how late every event was. Understands a length and chunks, wherever a proxy
// cuts them; nothing else is needed here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hm::bench {

class AnswerReader {
 public:
  void feed(std::string_view bytes, int64_t arrived_ns);
  [[nodiscard]] bool whole() const { return whole_; }
  // Arrival minus due time, one per event.
  [[nodiscard]] const std::vector<int64_t>& delays_ns() const { return delays_ns_; }
  [[nodiscard]] int64_t first_event_ns() const { return first_event_ns_; }

 private:
  void take_head();
  void take_chunks(int64_t arrived_ns);
  [[nodiscard]] bool open_chunk();
  void find_stamps(int64_t arrived_ns);

  std::string text_;  // not looked through yet: the head, then the framing's bytes
  std::string body_;  // of a chunked answer: its end, in which a stamp may be cut
  size_t chunk_left_ = 0;
  bool first_chunk_ = true;
  bool head_seen_ = false;
  bool chunked_ = false;
  bool whole_ = false;
  int64_t body_left_ = 0;
  int64_t first_event_ns_ = 0;
  std::vector<int64_t> delays_ns_;
};

}  // namespace hm::bench
