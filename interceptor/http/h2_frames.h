// Cuts one direction of an HTTP/2 connection into frames (RFC 9113 4.1) and takes off what is only
// wrapping: the client's preface, padding, priorities, CONTINUATION. Sans-I/O; no frame is ever
// collected, whatever its length: payloads are told as spans of the input, and only fixed fields
// (nine bytes at most) are kept across cuts.
//
// Frames that say nothing about exchanges (PING, WINDOW_UPDATE, PRIORITY, unknown types) are read
// past. A header block is told as one, however many frames carry it.
//
// Error, and it stays in it: malformed (what RFC 9113 calls a connection error in frames and that
// makes the rest unreadable, or a direction that is not HTTP/2 at all).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace hm::http {

using StreamId = uint32_t;

class H2FrameEvents {
 public:
  // `promised` is the stream that a PUSH_PROMISE announces, 0 for HEADERS.
  [[nodiscard]] virtual Result<void> on_block_begin(StreamId stream, StreamId promised,
                                                    bool end_stream) = 0;
  [[nodiscard]] virtual Result<void> on_block_fragment(Bytes fragment) = 0;
  [[nodiscard]] virtual Result<void> on_block_end() = 0;
  [[nodiscard]] virtual Result<void> on_data(StreamId stream, Bytes data) = 0;  // never empty
  [[nodiscard]] virtual Result<void> on_data_end(StreamId stream) = 0;  // END_STREAM on DATA
  [[nodiscard]] virtual Result<void> on_rst_stream(StreamId stream, uint32_t code) = 0;
  virtual void on_setting(uint16_t id, uint32_t value) = 0;
  virtual void on_goaway(StreamId last_stream, uint32_t code) = 0;

 protected:
  ~H2FrameEvents() = default;
};

class H2Frames {
 public:
  enum class From : uint8_t { client, origin };

  H2Frames(From from, H2FrameEvents& events);  // events outlive it

  [[nodiscard]] Result<void> feed(Bytes bytes);
  // Neither a frame nor a header block (nor the preface) is half read.
  [[nodiscard]] bool between_frames() const {
    return matched_ % kPrefaceSize == 0 && block_stream_ == 0 &&
           (state_ == State::preface || (state_ == State::head && kept_size_ == 0));
  }

  // Looks ahead, for who cannot wait for the events. `bytes` begin between frames: does the
  // client's preface come first, and how many HEADERS frames are there? Of the last frame the head
  // is enough.
  [[nodiscard]] static bool begins_with_preface(Bytes bytes);
  [[nodiscard]] static size_t headers_in(Bytes bytes);

 private:
  static constexpr size_t kPrefaceSize = 24;

  enum class Type : uint8_t {
    data = 0,
    headers = 1,
    priority = 2,
    rst_stream = 3,
    settings = 4,
    push_promise = 5,
    ping = 6,
    goaway = 7,
    window_update = 8,
    continuation = 9,
  };
  enum class State : uint8_t { preface, head, fixed, payload, rest };

  [[nodiscard]] Result<void> step(Bytes& bytes);
  [[nodiscard]] Result<void> read_preface(Bytes& bytes);
  [[nodiscard]] bool collect(Bytes& bytes, size_t size);
  [[nodiscard]] Result<void> on_head();
  [[nodiscard]] Result<void> check_order();
  [[nodiscard]] Result<void> on_fixed();
  [[nodiscard]] Result<void> on_stream_fields();
  [[nodiscard]] Result<void> on_payload(Bytes& bytes);
  [[nodiscard]] Result<void> end_frame();
  [[nodiscard]] Result<void> payload_over();
  [[nodiscard]] bool flag(uint8_t bit) const { return (flags_ & bit) != 0; }

  const From from_;
  H2FrameEvents& events_;
  State state_;
  bool first_ = true;   // the frame to come is the direction's first
  size_t matched_ = 0;  // of the preface
  // Of the frame being read.
  Type type_ = Type::data;
  uint8_t flags_ = 0;
  StreamId stream_ = 0;
  uint32_t left_ = 0;  // bytes of the frame that are not read yet, padding included
  uint32_t padding_ = 0;
  size_t fixed_ = 0;           // bytes of fixed fields to collect
  StreamId block_stream_ = 0;  // whose header block is open; 0: none
  std::array<uint8_t, 9> kept_{};
  size_t kept_size_ = 0;
  Error error_;
  bool failed_ = false;
};

}  // namespace hm::http
