#include "common/base/random_id.h"

#include <pthread.h>
#include <sys/random.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

#include "common/base/clock.h"

namespace hm {
namespace {

using Random16 = std::array<uint8_t, 16>;

// A child must not hand out what its parent has in store as well.
std::atomic<uint64_t> forks{0};

uint64_t forks_seen() {
  static const int watched = pthread_atfork(nullptr, nullptr, [] { ++forks; });
  return watched == 0 ? forks.load(std::memory_order_relaxed) : ++forks;  // else no store is good
}

// One visit to the kernel for sixteen ids: these make two for every call.
struct Store {
  std::array<uint8_t, 256> bytes{};
  size_t used = sizeof bytes;
  uint64_t forks = 0;

  void fill() {
    ssize_t got = 0;
    do {
      got = ::getrandom(bytes.data(), bytes.size(), 0);
    } while (got < 0 && errno == EINTR);
    if (got != static_cast<ssize_t>(bytes.size())) {
      std::random_device device;
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(device());
    }
    used = 0;
  }
};

Random16 random_bytes() {
  thread_local Store store;
  const uint64_t now = forks_seen();
  if (store.used + sizeof(Random16) > store.bytes.size() || store.forks != now) store.fill();
  store.forks = now;
  Random16 bytes{};
  std::memcpy(bytes.data(), &store.bytes[store.used], bytes.size());
  store.used += bytes.size();
  return bytes;
}

void append_hex(std::string& text, uint8_t byte) {
  constexpr std::string_view kHex = "0123456789abcdef";
  text.push_back(kHex[byte >> 4U]);
  text.push_back(kHex[byte & 0x0FU]);
}

Random16 ordered_bytes() {
  Random16 bytes = random_bytes();
  const int64_t ms = system_clock().wall_us() / 1000;
  for (size_t i = 0; i < 6; ++i) bytes[i] = static_cast<uint8_t>(ms >> (8 * (5 - i)));
  return bytes;
}

std::string uuid(Random16 bytes, unsigned version) {
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0FU) | version << 4U);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3FU) | 0x80U);
  std::string id;
  id.reserve(36);
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id.push_back('-');
    append_hex(id, bytes[i]);
  }
  return id;
}

std::string hex(const Random16& bytes) {
  std::string id;
  id.reserve(32);
  for (const uint8_t byte : bytes) append_hex(id, byte);
  return id;
}

}  // namespace

std::string random_uuid() {
  return uuid(random_bytes(), 4);
}

std::string random_hex_id() {
  return hex(random_bytes());
}

std::string ordered_uuid() {
  return uuid(ordered_bytes(), 7);
}

std::string ordered_hex_id() {
  return hex(ordered_bytes());
}

uint64_t random_number() {
  uint64_t number = 0;
  for (const uint8_t byte : random_bytes()) number = number << 8U ^ number >> 56U ^ byte;
  return number;
}

}  // namespace hm
