// preface (client only) --> head --> fixed --> payload --> rest (padding, or all of it) --> head
// ...
//
// fixed: pad length, priority, promised stream, a setting, an error code, by type. A state without
// bytes is passed through at once, so that an empty frame ends with its head.
#include "interceptor/http/h2_frames.h"

#include <algorithm>
#include <string_view>

namespace hm::http {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113 3.4

constexpr uint8_t kEndStream = 0x1;  // DATA, HEADERS
constexpr uint8_t kAck = 0x1;        // SETTINGS
constexpr uint8_t kEndHeaders = 0x4;
constexpr uint8_t kPadded = 0x8;
constexpr uint8_t kPriority = 0x20;

constexpr size_t kHeadSize = 9;
constexpr size_t kSettingSize = 6;
constexpr size_t kPriorityFields = 5;

uint32_t number(const uint8_t* at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | at[i];
  return value;
}

StreamId stream_at(const uint8_t* at) {
  return number(at, 4) & 0x7fffffff;  // the highest bit is reserved
}

}  // namespace

H2Frames::H2Frames(From from, H2FrameEvents& events)
    : from_(from), events_(events), state_(from == From::client ? State::preface : State::head) {}

bool H2Frames::begins_with_preface(Bytes bytes) {
  return as_text(bytes).starts_with(kPreface);
}

size_t H2Frames::headers_in(Bytes bytes) {
  if (begins_with_preface(bytes)) bytes = bytes.subspan(kPrefaceSize);
  size_t count = 0;
  while (bytes.size() >= kHeadSize) {
    count += static_cast<Type>(bytes[3]) == Type::headers ? 1 : 0;
    bytes = bytes.subspan(std::min(bytes.size(), kHeadSize + number(bytes.data(), 3)));
  }
  return count;
}

Result<void> H2Frames::feed(Bytes bytes) {
  while (!failed_ && !bytes.empty()) {
    if (const auto stepped = step(bytes); !stepped) {
      failed_ = true;
      error_ = stepped.error();
    }
  }
  if (failed_) return std::unexpected(error_);
  return {};
}

Result<void> H2Frames::step(Bytes& bytes) {
  switch (state_) {
    case State::preface:
      return read_preface(bytes);
    case State::head:
      return collect(bytes, kHeadSize) ? on_head() : Result<void>{};
    case State::fixed:
      return collect(bytes, fixed_) ? on_fixed() : Result<void>{};
    case State::payload:
      return on_payload(bytes);
    case State::rest: {
      const size_t take = std::min<size_t>(bytes.size(), left_);
      bytes = bytes.subspan(take);
      left_ -= static_cast<uint32_t>(take);
      return left_ == 0 ? end_frame() : Result<void>{};
    }
  }
  return {};
}

Result<void> H2Frames::read_preface(Bytes& bytes) {
  const size_t take = std::min(bytes.size(), kPreface.size() - matched_);
  if (as_text(bytes.first(take)) != kPreface.substr(matched_, take)) {
    return fail(Code::malformed, "h2.preface");
  }
  bytes = bytes.subspan(take);
  matched_ += take;
  if (matched_ == kPreface.size()) state_ = State::head;
  return {};
}

// True when `size` bytes are in kept_.
bool H2Frames::collect(Bytes& bytes, size_t size) {
  const size_t take = std::min(bytes.size(), size - kept_size_);
  std::ranges::copy(bytes.first(take), kept_.begin() + static_cast<std::ptrdiff_t>(kept_size_));
  bytes = bytes.subspan(take);
  kept_size_ += take;
  if (kept_size_ < size) return false;
  kept_size_ = 0;
  return true;
}

Result<void> H2Frames::on_head() {
  left_ = number(kept_.data(), 3);
  type_ = static_cast<Type>(kept_[3]);
  flags_ = kept_[4];
  stream_ = stream_at(kept_.data() + 5);
  padding_ = 0;
  fixed_ = 0;
  if (const auto checked = check_order(); !checked) return checked;

  state_ = State::rest;
  switch (type_) {
    case Type::data:
      state_ = State::payload;
      if (flag(kPadded)) fixed_ = 1;
      break;
    case Type::headers:
      state_ = State::payload;
      fixed_ = (flag(kPadded) ? 1U : 0U) + (flag(kPriority) ? kPriorityFields : 0U);
      break;
    case Type::push_promise:
      state_ = State::payload;
      fixed_ = (flag(kPadded) ? 1U : 0U) + 4;
      break;
    case Type::continuation:
      state_ = State::payload;
      break;
    case Type::rst_stream:
      if (left_ != 4) return fail(Code::malformed, "h2.rst_stream");
      fixed_ = 4;
      break;
    case Type::settings:
      if (left_ % kSettingSize != 0 || (flag(kAck) && left_ != 0)) {
        return fail(Code::malformed, "h2.settings");
      }
      if (left_ != 0) fixed_ = kSettingSize;
      break;
    case Type::goaway:
      fixed_ = 8;
      break;
    default:  // nothing in it for us
      break;
  }
  if (fixed_ > left_) return fail(Code::malformed, "h2.frame_size");
  if (fixed_ > 0) {
    state_ = State::fixed;
    return {};
  }
  return state_ == State::payload ? on_stream_fields()
                                  : (left_ == 0 ? end_frame() : Result<void>{});
}

// What RFC 9113 3.4, 4.3, 6 say about which frame may come where.
Result<void> H2Frames::check_order() {
  if (first_ && (type_ != Type::settings || flag(kAck))) return fail(Code::malformed, "h2.first");
  first_ = false;
  if (block_stream_ != 0 ? type_ != Type::continuation || stream_ != block_stream_
                         : type_ == Type::continuation) {
    return fail(Code::malformed, "h2.continuation");
  }
  const bool of_connection = type_ == Type::settings || type_ == Type::goaway;
  const bool of_stream = type_ == Type::data || type_ == Type::headers ||
                         type_ == Type::rst_stream || type_ == Type::push_promise;
  if ((of_connection && stream_ != 0) || (of_stream && stream_ == 0)) {
    return fail(Code::malformed, "h2.stream_id");
  }
  if (type_ == Type::push_promise && from_ == From::client) return fail(Code::malformed, "h2.push");
  return {};
}

Result<void> H2Frames::on_fixed() {
  left_ -= static_cast<uint32_t>(fixed_);
  switch (type_) {
    case Type::settings:
      events_.on_setting(static_cast<uint16_t>(number(kept_.data(), 2)),
                         number(kept_.data() + 2, 4));
      return left_ == 0 ? end_frame() : Result<void>{};  // or the next setting
    case Type::rst_stream:
      if (const auto told = events_.on_rst_stream(stream_, number(kept_.data(), 4)); !told) {
        return told;
      }
      return end_frame();
    case Type::goaway:
      events_.on_goaway(stream_at(kept_.data()), number(kept_.data() + 4, 4));
      state_ = State::rest;
      return left_ == 0 ? end_frame() : Result<void>{};
    default:
      return on_stream_fields();
  }
}

// The fixed fields of DATA and header frames are here; their payload begins.
Result<void> H2Frames::on_stream_fields() {
  const size_t padded = fixed_ > 0 && flag(kPadded) ? 1 : 0;
  if (padded != 0) padding_ = kept_[0];
  if (padding_ > left_) return fail(Code::malformed, "h2.padding");
  state_ = State::payload;

  if (type_ == Type::headers || type_ == Type::push_promise) {
    StreamId promised = 0;
    if (type_ == Type::push_promise) {
      promised = stream_at(kept_.data() + padded);
      if (promised == 0 || promised % 2 != 0) return fail(Code::malformed, "h2.promised");
    }
    block_stream_ = stream_;
    const bool end_stream = type_ == Type::headers && flag(kEndStream);
    if (const auto told = events_.on_block_begin(stream_, promised, end_stream); !told) return told;
  }
  return left_ == padding_ ? payload_over() : Result<void>{};
}

Result<void> H2Frames::on_payload(Bytes& bytes) {
  const size_t take = std::min<size_t>(bytes.size(), left_ - padding_);
  const Bytes piece = bytes.first(take);
  bytes = bytes.subspan(take);
  left_ -= static_cast<uint32_t>(take);
  const auto told =
      type_ == Type::data ? events_.on_data(stream_, piece) : events_.on_block_fragment(piece);
  if (!told) return told;
  return left_ == padding_ ? payload_over() : Result<void>{};
}

Result<void> H2Frames::payload_over() {
  state_ = State::rest;
  return left_ == 0 ? end_frame() : Result<void>{};
}

Result<void> H2Frames::end_frame() {
  state_ = State::head;
  switch (type_) {
    case Type::data:
      return flag(kEndStream) ? events_.on_data_end(stream_) : Result<void>{};
    case Type::headers:
    case Type::push_promise:
    case Type::continuation:
      if (!flag(kEndHeaders)) return {};
      block_stream_ = 0;
      return events_.on_block_end();
    default:
      return {};
  }
}

}  // namespace hm::http
