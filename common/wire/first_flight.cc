#include "common/wire/first_flight.h"

#include <cstddef>
#include <cstdint>

namespace hm::wire {
namespace {

constexpr uint8_t kChangeCipherSpec = 20;  // for old middle boxes, even in TLS 1.3
constexpr uint8_t kHandshake = 22;
constexpr uint8_t kMajorVersion = 3;
constexpr size_t kRecordHead = 5;  // type, version, length

}  // namespace

bool is_handshake_only(std::string_view flight) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(flight[at]); };
  size_t at = 0;
  while (at < flight.size()) {
    // The first record begins a handshake; what is cut off at the end is judged by what is there.
    const uint8_t type = byte(at);
    if (type != kHandshake && (type != kChangeCipherSpec || at == 0)) return false;
    if (at + 1 < flight.size() && byte(at + 1) != kMajorVersion) return false;
    if (at + kRecordHead > flight.size()) return true;
    at += kRecordHead + (static_cast<size_t>(byte(at + 3)) << 8 | byte(at + 4));
  }
  return true;
}

}  // namespace hm::wire
