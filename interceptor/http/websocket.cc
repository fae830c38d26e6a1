#include "interceptor/http/websocket.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "interceptor/http/message_inflate.h"

namespace hm::http {
namespace {

// RFC 6455 5.2.
constexpr uint8_t kFin = 0x80;
constexpr uint8_t kRsv1 = 0x40;
constexpr uint8_t kRsv23 = 0x30;
constexpr uint8_t kOpcode = 0x0F;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLength = 0x7F;
constexpr uint8_t kContinuation = 0;
constexpr uint8_t kText = 1;
constexpr uint8_t kBinary = 2;
constexpr uint8_t kClose = 8;
constexpr uint8_t kPong = 10;
constexpr size_t kMaxControl = 125;
constexpr size_t kMaxHeader = 14;
constexpr size_t kUnmaskPiece = 8 * 1024;

bool is_control(uint8_t opcode) {
  return (opcode & 0x08U) != 0;
}

uint64_t big_endian(Bytes bytes) {
  uint64_t value = 0;
  for (const uint8_t byte : bytes) value = value << 8U | byte;
  return value;
}

// One direction.
class FrameReader final : private StageOutput {
 public:
  FrameReader(bool from_client, bool deflate, bool keeps_context, WebSocketEvents& events,
              const WebSocketLimits& limits)
      : events_(events),
        limits_(limits),
        from_client_(from_client),
        deflate_(deflate),
        keeps_context_(keeps_context) {}

  Result<void> feed(Bytes bytes) {
    while (!bytes.empty() && !closed_) {
      const auto used = in_payload_ ? take_payload(bytes) : take_header(bytes);
      if (!used) return std::unexpected(used.error());
      bytes = bytes.subspan(*used);
    }
    return {};
  }

 private:
  Result<size_t> take_header(Bytes bytes) {
    size_t used = 0;
    while (used < bytes.size() && header_size_ < header_wanted_) {
      header_[header_size_++] = bytes[used++];
      if (header_size_ == 2) header_wanted_ = whole_header();
    }
    wire_bytes_ += used;
    if (header_size_ < header_wanted_) return used;
    if (auto begun = begin_frame(); !begun) return std::unexpected(begun.error());
    return used;
  }

  [[nodiscard]] size_t whole_header() const {
    const uint8_t length = header_[1] & kLength;
    const size_t extended = length == 127 ? 8 : (length == 126 ? 2 : 0);
    return 2 + extended + ((header_[1] & kMasked) != 0 ? 4U : 0U);
  }

  Result<void> begin_frame() {
    const uint8_t first = header_[0];
    const bool masked = (header_[1] & kMasked) != 0;
    opcode_ = first & kOpcode;
    fin_ = (first & kFin) != 0;
    left_ = header_[1] & kLength;
    const size_t mask_at = header_size_ - (masked ? 4 : 0);
    if (left_ > kMaxControl) left_ = big_endian(Bytes(header_).subspan(2, mask_at - 2));
    if (masked) std::copy_n(header_.begin() + static_cast<int>(mask_at), 4, mask_.begin());
    header_size_ = 0;
    header_wanted_ = 2;

    if (masked != from_client_) return fail(Code::malformed, "websocket.mask");
    if ((first & kRsv23) != 0) return fail(Code::malformed, "websocket.reserved_bits");
    if (left_ >> 63U != 0) return fail(Code::malformed, "websocket.length");
    const bool rsv1 = (first & kRsv1) != 0;
    if (is_control(opcode_)) {
      if (opcode_ > kPong) return fail(Code::malformed, "websocket.opcode");
      if (!fin_ || rsv1 || left_ > kMaxControl) return fail(Code::malformed, "websocket.control");
      control_size_ = 0;
    } else if (auto begun = begin_data_frame(rsv1); !begun) {
      return begun;
    }
    in_payload_ = true;
    return left_ == 0 ? end_frame() : Result<void>{};
  }

  Result<void> begin_data_frame(bool rsv1) {
    if (opcode_ == kContinuation) {
      if (!in_message_ || rsv1) return fail(Code::malformed, "websocket.continuation");
      return {};
    }
    if (opcode_ != kText && opcode_ != kBinary) return fail(Code::malformed, "websocket.opcode");
    if (in_message_) return fail(Code::malformed, "websocket.fragments");
    if (rsv1 && !deflate_) return fail(Code::malformed, "websocket.rsv1");
    if (rsv1 && inflate_ == nullptr) {
      inflate_ = make_message_inflate();
      if (inflate_ == nullptr) return fail(Code::exhausted, "websocket.inflate");
    }
    in_message_ = true;
    compressed_ = rsv1;
    packed_ = inflated_ = 0;
    events_.on_message_begin(from_client_);
    return {};
  }

  Result<size_t> take_payload(Bytes bytes) {
    size_t size = static_cast<size_t>(std::min<uint64_t>(bytes.size(), left_));
    Bytes piece = bytes.first(size);
    if (from_client_) {
      size = std::min(size, kUnmaskPiece);
      for (size_t i = 0; i < size; ++i) {
        plain_[i] = static_cast<uint8_t>(bytes[i] ^ mask_[i & 3U]);
      }
      std::ranges::rotate(mask_, mask_.begin() + static_cast<int>(size & 3U));
      piece = Bytes(plain_).first(size);
    }
    wire_bytes_ += size;
    left_ -= size;
    if (auto given = give_payload(piece); !given) return std::unexpected(given.error());
    if (left_ == 0) {
      if (auto ended = end_frame(); !ended) return std::unexpected(ended.error());
    }
    return size;
  }

  Result<void> give_payload(Bytes piece) {
    if (is_control(opcode_)) {
      for (const uint8_t byte : piece) control_[control_size_++] = byte;
      return {};
    }
    if (!compressed_) {
      events_.on_message_data(from_client_, piece);
      return {};
    }
    packed_ += piece.size();
    return inflate_->feed(piece, *this);
  }

  Result<void> take(Bytes bytes) override {
    inflated_ += bytes.size();
    const bool bomb = inflated_ > limits_.ratio_floor && inflated_ / limits_.max_ratio > packed_;
    if (inflated_ > limits_.max_inflated || bomb) return fail(Code::too_large, "websocket.inflate");
    events_.on_message_data(from_client_, bytes);
    return {};
  }

  Result<void> end_frame() {
    in_payload_ = false;
    if (is_control(opcode_)) return end_control();
    if (!fin_) return {};
    if (compressed_) {
      if (auto ended = inflate_->end_message(*this); !ended) return ended;
      if (!keeps_context_) inflate_->forget();
    }
    in_message_ = false;
    events_.on_message_end(from_client_, std::exchange(wire_bytes_, 0));
    return {};
  }

  Result<void> end_control() {
    if (opcode_ != kClose) return {};
    if (control_size_ == 1) return fail(Code::malformed, "websocket.close");
    closed_ = true;
    std::optional<uint16_t> code;
    if (control_size_ >= 2) {
      code = static_cast<uint16_t>(big_endian(Bytes(control_).first(2)));
    }
    events_.on_close(from_client_, code);
    return {};
  }

  WebSocketEvents& events_;
  const WebSocketLimits& limits_;
  const bool from_client_;
  const bool deflate_;
  const bool keeps_context_;

  std::array<uint8_t, kMaxHeader> header_{};
  size_t header_size_ = 0;
  size_t header_wanted_ = 2;
  bool in_payload_ = false;
  uint8_t opcode_ = 0;
  bool fin_ = false;
  uint64_t left_ = 0;  // of the payload
  std::array<uint8_t, 4> mask_{};
  std::array<uint8_t, kUnmaskPiece> plain_{};
  std::array<uint8_t, kMaxControl> control_{};
  size_t control_size_ = 0;
  bool in_message_ = false;
  bool compressed_ = false;  // the message
  bool closed_ = false;
  uint64_t wire_bytes_ = 0;
  uint64_t packed_ = 0;
  uint64_t inflated_ = 0;
  std::unique_ptr<MessageInflate> inflate_;
};

std::string_view trimmed(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

// The next piece up to `mark`, blanks around it cut off; `rest` is what comes behind the mark.
std::string_view cut(std::string_view& rest, char mark) {
  const size_t at = std::min(rest.find(mark), rest.size());
  const std::string_view piece = trimmed(rest.substr(0, at));
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return piece;
}

bool equal_folded(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower, {}, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
}

// RFC 7692 7.1.
bool read_parameter(std::string_view parameter, WebSocketTerms& terms) {
  const std::string_view name = cut(parameter, '=');
  if (equal_folded(name, "server_no_context_takeover")) {
    terms.server_keeps_context = false;
  } else if (equal_folded(name, "client_no_context_takeover")) {
    terms.client_keeps_context = false;
  } else if (!equal_folded(name, "server_max_window_bits") &&
             !equal_folded(name, "client_max_window_bits")) {
    return false;
  }
  return true;
}

}  // namespace

Result<WebSocketTerms> websocket_terms(const ResponseHead& answer) {
  WebSocketTerms terms;
  for (const Header& header : answer.headers) {
    if (header.name != "sec-websocket-extensions") continue;
    std::string_view list = header.value;
    while (!list.empty()) {
      std::string_view extension = cut(list, ',');
      if (extension.empty()) continue;
      if (!equal_folded(cut(extension, ';'), "permessage-deflate") || terms.deflate) {
        return fail(Code::unsupported, "websocket.extension");
      }
      terms.deflate = true;
      while (!extension.empty()) {
        const std::string_view parameter = cut(extension, ';');
        if (!parameter.empty() && !read_parameter(parameter, terms)) {
          return fail(Code::unsupported, "websocket.parameter");
        }
      }
    }
  }
  return terms;
}

struct WebSocketReader::Parts {
  Parts(const WebSocketTerms& terms, WebSocketEvents& events, const WebSocketLimits& given)
      : limits(given),
        client(true, terms.deflate, terms.client_keeps_context, events, limits),
        origin(false, terms.deflate, terms.server_keeps_context, events, limits) {}

  const WebSocketLimits limits;
  FrameReader client;
  FrameReader origin;
  std::optional<Error> error;
};

WebSocketReader::WebSocketReader(const WebSocketTerms& terms, WebSocketEvents& events,
                                 const WebSocketLimits& limits)
    : parts_(std::make_unique<Parts>(terms, events, limits)) {}

WebSocketReader::~WebSocketReader() = default;

Result<void> WebSocketReader::feed(bool from_client, Bytes bytes) {
  Parts& parts = *parts_;
  if (parts.error) return std::unexpected(*parts.error);
  auto fed = (from_client ? parts.client : parts.origin).feed(bytes);
  if (!fed) parts.error = fed.error();
  return fed;
}

}  // namespace hm::http
