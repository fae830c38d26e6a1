// Server-sent events (WHATWG HTML 9.2.6), as a stream: data is passed on in pieces as it comes and
// no event is ever stored, so a terminal event of several MB costs nothing. Sans-I/O.
//
// Where it is more generous than the standard, because a meter wants what a client would have
// wanted:
//  - an unfinished last event is flushed by finish(): servers leave the final blank line out;
//  - a line that starts with { or [ is data, and so are the lines that follow until the braces are
//    balanced again (an error in JSON, written plainly into the stream). Such a value is an event
//    of its own.
// Kept: event name and id, 256 bytes each (the rest is cut off). It cannot fail on any input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace hm::http {

class SseEvents {
 public:
  // The name of the event that is going on, as soon as its line ends: nearly always before its
  // data, but a stream may give it later, again (the last counts), or never. A name whose event
  // turns out to have no data is forgotten without on_event_end: start afresh with each name and
  // each end.
  virtual void on_event_name(std::string_view name) = 0;
  // A piece of the data; the LF between data lines included. Never empty; dies with the call.
  virtual void on_data(Bytes piece) = 0;
  // The event is whole. Told for every event with a data line, be the data empty. `name` is empty
  // when there was none; `id` is the last one the stream gave (it carries over, as the standard
  // says).
  virtual void on_event_end(std::string_view name, std::string_view id) = 0;

 protected:
  ~SseEvents() = default;
};

class SseParser {
 public:
  static constexpr size_t kMaxName = 256;  // bytes of event name and of id

  explicit SseParser(SseEvents& events) : events_(events) {}  // events must outlive it
  SseParser(const SseParser&) = delete;
  SseParser& operator=(const SseParser&) = delete;

  [[nodiscard]] Result<void> feed(Bytes bytes);
  [[nodiscard]] Result<void> finish();  // end of the body, however it came

 private:
  enum class State : uint8_t { bom, line_start, field, after_colon, value, skip };
  enum class Field : uint8_t { other, event, data, id };

  size_t take(Bytes bytes);  // one step; returns how many bytes it used up
  void begin_value();
  void take_value(Bytes run);
  void begin_plain();
  void watch_braces(Bytes run);
  void end_line();
  void begin_data_line();
  void dispatch();

  SseEvents& events_;
  State state_ = State::bom;
  Field field_ = Field::other;
  uint8_t bom_matched_ = 0;
  bool after_cr_ = false;   // the last byte was a CR: an LF right now belongs to it
  bool has_data_ = false;   // the event has a data line
  bool plain_ = false;      // the event is a JSON value without "data:"
  bool in_string_ = false;  // of that value
  bool escaped_ = false;
  uint64_t depth_ = 0;
  std::string field_name_;  // at most 6 bytes: no field of interest is longer than 5
  std::string event_name_;
  std::string pending_;  // event or id value that is being read
  std::string last_id_;
};

}  // namespace hm::http
