#include "common/base/key_print.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/base/fs.h"

namespace hm {
namespace {

struct SipState {
  uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

uint64_t little_endian(const char* bytes, size_t count) {
  uint64_t word = 0;
  for (size_t i = 0; i < count; ++i)
    word |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return word;
}

Result<KeyPrinter> load(const std::filesystem::path& file) {
  const auto bytes = read_file(file, 64);
  if (!bytes) return std::unexpected(bytes.error());
  SipKey secret{};
  if (bytes->size() != secret.size()) return fail(Code::malformed, "key_print.load");
  std::copy(bytes->begin(), bytes->end(), secret.begin());
  return KeyPrinter(secret);
}

}  // namespace

// Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
uint64_t siphash24(const SipKey& key, std::string_view text) {
  const auto* raw = reinterpret_cast<const char*>(key.data());
  const uint64_t k0 = little_endian(raw, 8), k1 = little_endian(raw + 8, 8);
  SipState state{0x736f6d6570736575U ^ k0, 0x646f72616e646f6dU ^ k1, 0x6c7967656e657261U ^ k0,
                 0x7465646279746573U ^ k1};
  const size_t whole = text.size() / 8 * 8;
  for (size_t at = 0; at < whole; at += 8) state.take(little_endian(text.data() + at, 8));
  state.take(little_endian(text.data() + whole, text.size() - whole) |
             static_cast<uint64_t>(text.size() & 0xFFU) << 56U);
  state.v2 ^= 0xFFU;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

Result<KeyPrinter> KeyPrinter::load_or_create(const std::filesystem::path& file) {
  auto loaded = load(file);
  if (loaded || loaded.error().code != Code::not_found) return loaded;
  if (auto folder = ensure_dir(file.parent_path()); !folder) return std::unexpected(folder.error());
  std::string secret(SipKey().size(), '\0');
  if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size()))
    return fail(Code::system, "key_print.random", errno);
  // Whole under a name of its own, then linked: nobody ever reads a part, and the first one wins.
  const std::string own = file.string() + ".own." + std::to_string(::getpid());
  if (auto written = replace_file(own, secret); !written) return std::unexpected(written.error());
  const bool linked = ::link(own.c_str(), file.c_str()) == 0;
  const int error = errno;
  ::unlink(own.c_str());
  if (!linked && error != EEXIST) return fail(Code::system, "key_print.link", error);
  return load(file);
}

std::string KeyPrinter::print(std::string_view key) const {
  if (key.empty()) return {};
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx",
                static_cast<unsigned long long>(siphash24(secret_, key)));
  return hex;
}

}  // namespace hm
