// FNV-1a (draft-eastlake-fnv): tells contents apart and notices torn writes; guards against nobody.
#pragma once

#include <cstdint>
#include <string_view>

namespace hm {

// `hash` goes on from earlier bytes.
[[nodiscard]] constexpr uint32_t fnv1a_32(std::string_view bytes, uint32_t hash = 2166136261U) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return hash;
}

[[nodiscard]] constexpr uint64_t fnv1a_64(std::string_view bytes,
                                          uint64_t hash = 14695981039346656037U) {
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211U;
  return hash;
}

// The draft's own vectors.
static_assert(fnv1a_32("a") == 0xe40c292cU && fnv1a_64("a") == 0xaf63dc4c8601ec8cU);

}  // namespace hm
