// HTTP/2 frames written by hand, for what no well-behaved library would send. Header blocks use
// literals without indexing, so that a block says the same wherever it stands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hm::test::h2 {

enum FrameType : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
enum Flag : uint8_t {
  kNone = 0,
  kAck = 0x1,
  kEndStream = 0x1,
  kEndHeaders = 0x4,
  kPadded = 0x8,
  kHasPriority = 0x20,
};
constexpr uint8_t kWholeHead = kEndHeaders | kEndStream;

inline const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string number(uint64_t value, size_t size) {
  std::string text;
  for (size_t i = size; i-- > 0;) text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return text;
}

inline std::string frame(uint8_t type, unsigned flags, uint32_t stream, std::string_view payload) {
  std::string text = number(payload.size(), 3);
  text.push_back(static_cast<char>(type));
  text.push_back(static_cast<char>(flags));
  return text + number(stream, 4) + std::string(payload);
}

inline std::string hpack_string(std::string_view text) {  // RFC 7541 5.2, not Huffman-coded
  std::string out;
  if (text.size() < 127) {
    out.push_back(static_cast<char>(text.size()));
  } else {
    out.push_back(0x7f);
    size_t rest = text.size() - 127;
    for (; rest >= 128; rest >>= 7) out.push_back(static_cast<char>(0x80 | (rest & 0x7f)));
    out.push_back(static_cast<char>(rest));
  }
  return out + std::string(text);
}

inline std::string block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    out += '\0' + hpack_string(name) + hpack_string(value);
  }
  return out;
}

inline std::string settings(const std::vector<std::pair<uint16_t, uint32_t>>& entries = {}) {
  std::string payload;
  for (const auto& [id, value] : entries) payload += number(id, 2) + number(value, 4);
  return frame(kSettings, kNone, 0, payload);
}

inline Fields request_fields(std::string_view method = "GET", std::string_view path = "/") {
  return {{":method", std::string(method)},
          {":scheme", "https"},
          {":path", std::string(path)},
          {":authority", "api.example"}};
}

inline std::string request(uint32_t stream, unsigned flags, const Fields& more = {},
                           std::string_view method = "GET", std::string_view path = "/") {
  Fields fields = request_fields(method, path);
  fields.insert(fields.end(), more.begin(), more.end());
  return frame(kHeaders, flags, stream, block(fields));
}

inline std::string response(uint32_t stream, unsigned flags, int status = 200,
                            const Fields& more = {}) {
  Fields fields{{":status", std::to_string(status)}};
  fields.insert(fields.end(), more.begin(), more.end());
  return frame(kHeaders, flags, stream, block(fields));
}

inline std::string data(uint32_t stream, std::string_view body, unsigned flags = kNone) {
  return frame(kData, flags, stream, body);
}

inline std::string padded(std::string_view payload, size_t padding) {
  return std::string(1, static_cast<char>(padding)) + std::string(payload) +
         std::string(padding, '\0');
}

inline std::string rst(uint32_t stream, uint32_t code = 8) {
  return frame(kRstStream, kNone, stream, number(code, 4));
}

inline std::string goaway(uint32_t last, uint32_t code = 0, std::string_view debug = "") {
  return frame(kGoaway, kNone, 0, number(last, 4) + number(code, 4) + std::string(debug));
}

}  // namespace hm::test::h2
