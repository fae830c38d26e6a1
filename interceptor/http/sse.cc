// One line at a time, but never a line in memory:
//
//   line_start --name--> field --:--> after_colon --> value --end of line--> line_start
//        |                  '--unknown--> skip
//        '--{ or [, or inside such a value--> value (plain)
#include "interceptor/http/sse.h"

#include <algorithm>

namespace hm::http {
namespace {

constexpr std::string_view kBom = "\xEF\xBB\xBF";
constexpr size_t kLongestField = 5;  // "event"

constexpr uint8_t kLf[] = {'\n'};

size_t run_to_line_end(Bytes bytes) {
  const auto end =
      std::ranges::find_if(bytes, [](uint8_t byte) { return byte == '\n' || byte == '\r'; });
  return static_cast<size_t>(end - bytes.begin());
}

}  // namespace

Result<void> SseParser::feed(Bytes bytes) {
  while (!bytes.empty()) bytes = bytes.subspan(take(bytes));
  return {};
}

Result<void> SseParser::finish() {
  if (state_ != State::line_start && state_ != State::bom) end_line();
  dispatch();
  return {};
}

size_t SseParser::take(Bytes bytes) {
  const char c = static_cast<char>(bytes.front());

  if (state_ == State::bom) {
    if (c == kBom[bom_matched_]) {
      if (++bom_matched_ == kBom.size()) state_ = State::line_start;
      return 1;
    }
    // Not a mark after all: what matched so far was the begin of a field nobody knows.
    state_ = bom_matched_ == 0 ? State::line_start : State::skip;
  }

  const bool lf_of_crlf = after_cr_ && c == '\n';
  after_cr_ = c == '\r';
  if (lf_of_crlf) return 1;
  if (c == '\n' || c == '\r') {
    end_line();
    return 1;
  }

  switch (state_) {
    case State::bom:
    case State::line_start:
      if (depth_ > 0 || c == '{' || c == '[') {
        begin_plain();
        return 0;
      }
      field_name_.clear();
      state_ = State::field;
      [[fallthrough]];

    case State::field:
      if (c == ':') {
        begin_value();
        return 1;
      }
      field_name_ += c;
      if (field_name_.size() > kLongestField) state_ = State::skip;
      return 1;

    case State::after_colon:  // one blank belongs to the colon, not more
      state_ = State::value;
      return c == ' ' ? 1 : 0;

    case State::value: {
      const size_t run = run_to_line_end(bytes);
      take_value(bytes.first(run));
      return run;
    }

    case State::skip:
      return run_to_line_end(bytes);
  }
  return 1;
}

// The field's name is whole: by its colon, or by the end of a line without one.
void SseParser::begin_value() {
  pending_.clear();
  state_ = State::after_colon;
  if (field_name_ == "data") {
    field_ = Field::data;
    begin_data_line();
  } else if (field_name_ == "event") {
    field_ = Field::event;
  } else if (field_name_ == "id") {
    field_ = Field::id;
  } else {  // comments have an empty name; retry is for those who reconnect
    state_ = State::skip;
  }
}

void SseParser::begin_data_line() {
  if (plain_) dispatch();
  if (has_data_) events_.on_data(Bytes(kLf));
  has_data_ = true;
}

// A line of a JSON value without "data:", its first or a later one.
void SseParser::begin_plain() {
  if (has_data_ && !plain_) dispatch();
  if (has_data_) events_.on_data(Bytes(kLf));
  has_data_ = true;
  plain_ = true;
  field_ = Field::data;
  state_ = State::value;
}

void SseParser::take_value(Bytes run) {
  if (field_ == Field::data) {
    if (plain_) watch_braces(run);
    events_.on_data(run);
    return;
  }
  const size_t room = kMaxName - pending_.size();
  pending_.append(as_text(run).substr(0, room));
}

void SseParser::watch_braces(Bytes run) {
  for (const uint8_t byte : run) {
    const char c = static_cast<char>(byte);
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && depth_ > 0) {
      --depth_;
    }
  }
}

void SseParser::end_line() {
  if (state_ == State::line_start || state_ == State::bom) {
    state_ = State::line_start;
    dispatch();
    return;
  }
  if (state_ == State::field) begin_value();  // no colon: the value is empty
  const bool is_value = state_ == State::value || state_ == State::after_colon;
  state_ = State::line_start;
  if (!is_value) return;

  if (field_ == Field::event) {
    event_name_ = pending_;
    if (!event_name_.empty()) events_.on_event_name(event_name_);
  } else if (field_ == Field::id && pending_.find('\0') == std::string::npos) {
    last_id_ = pending_;
  } else if (field_ == Field::data && plain_) {
    in_string_ =
        false;  // JSON strings do not span lines: a stray quote must not swallow the stream
    escaped_ = false;
    if (depth_ == 0) dispatch();
  }
}

void SseParser::dispatch() {
  if (has_data_) events_.on_event_end(event_name_, last_id_);
  event_name_.clear();
  has_data_ = false;
  plain_ = false;
  in_string_ = false;
  escaped_ = false;
  depth_ = 0;
}

}  // namespace hm::http
