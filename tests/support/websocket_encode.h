// Writes WebSocket frames (RFC 6455 5.2) and permessage-deflate payloads (RFC 7692) for tests.
#pragma once

#include <zlib.h>

#include <array>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

namespace hm::test {

struct FrameOptions {
  bool fin = true;
  bool masked = false;
  uint8_t reserved = 0;  // RSV1 is 4
};

inline std::string frame(uint8_t opcode, std::string_view payload, FrameOptions options = {}) {
  std::string out;
  out.push_back(static_cast<char>((options.fin ? 0x80 : 0) | options.reserved << 4 | opcode));
  const int mask_bit = options.masked ? 0x80 : 0;
  const auto length = [&](int marker, int bytes) {
    out.push_back(static_cast<char>(mask_bit | marker));
    for (int i = bytes; i-- > 0;) out.push_back(static_cast<char>(payload.size() >> (8 * i)));
  };
  if (payload.size() < 126) {
    length(static_cast<int>(payload.size()), 0);
  } else if (payload.size() < 65536) {
    length(126, 2);
  } else {
    length(127, 8);
  }
  if (!options.masked) return out.append(payload);
  constexpr std::array<uint8_t, 4> kMask{0x37, 0xfa, 0x21, 0x3d};
  for (const uint8_t byte : kMask) out.push_back(static_cast<char>(byte));
  for (size_t i = 0; i < payload.size(); ++i) {
    out.push_back(static_cast<char>(static_cast<uint8_t>(payload[i]) ^ kMask[i % 4]));
  }
  return out;
}

// The sending half of permessage-deflate, one direction.
class MessageDeflate {
 public:
  explicit MessageDeflate(bool keeps_context) : keeps_context_(keeps_context) {
    if (deflateInit2(&stream_, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::runtime_error("deflateInit2");
    }
  }
  ~MessageDeflate() { deflateEnd(&stream_); }
  MessageDeflate(const MessageDeflate&) = delete;
  MessageDeflate& operator=(const MessageDeflate&) = delete;

  std::string message(std::string_view text, int flush = Z_SYNC_FLUSH) {
    std::string out;
    if (text.empty()) return std::string(1, '\0');  // RFC 7692 7.2.3.6
    std::array<char, 4096> buffer{};
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream_.avail_in = static_cast<uInt>(text.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream_.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream_, flush);
      out.append(buffer.data(), buffer.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
    if (flush == Z_SYNC_FLUSH) out.resize(out.size() - 4);  // 00 00 FF FF
    if (flush == Z_FINISH || !keeps_context_) deflateReset(&stream_);
    return out;
  }

 private:
  z_stream stream_{};
  bool keeps_context_;
};

// One message as frames, in `fragments` pieces, with a ping between two of them.
inline std::string message_frames(std::string_view payload, bool from_client, bool compressed,
                                  size_t fragments = 1) {
  std::string out;
  const size_t piece = payload.size() / fragments + 1;
  for (size_t n = 0; n < fragments; ++n) {
    const std::string_view part =
        payload.substr(std::min(n * piece, payload.size())).substr(0, piece);
    FrameOptions options{n + 1 == fragments, from_client, 0};
    if (n == 0 && compressed) options.reserved = 4;
    if (n > 0) out += frame(9, "ping", {true, from_client, 0});
    out += frame(n == 0 ? 1 : 0, part, options);
  }
  return out;
}

}  // namespace hm::test
