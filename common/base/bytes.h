// Views of bytes. They own nothing: whoever makes one says how long it lives.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace hm {

using Bytes = std::span<const uint8_t>;
using MutBytes = std::span<uint8_t>;

[[nodiscard]] inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

[[nodiscard]] inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace hm
