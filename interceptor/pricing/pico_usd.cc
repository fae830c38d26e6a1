#include "interceptor/pricing/pico_usd.h"

#include <algorithm>

namespace hm::pricing {
namespace {

__extension__ using Unsigned128 = unsigned __int128;

Unsigned128 magnitude(Int128 value) {
  return value < 0 ? -static_cast<Unsigned128>(value) : static_cast<Unsigned128>(value);
}

std::string text_of(Unsigned128 value) {
  std::string text;
  do {
    text.push_back(static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value != 0);
  std::reverse(text.begin(), text.end());
  return text;
}

// value / 10^decimals, written with exactly that many decimals.
std::string with_decimals(Unsigned128 value, size_t decimals) {
  std::string text = text_of(value);
  if (text.size() <= decimals) text.insert(0, decimals + 1 - text.size(), '0');
  text.insert(text.size() - decimals, 1, '.');
  return text;
}

// Half up, away from zero: a cost and the same cost with a minus look alike.
Unsigned128 rounded(Unsigned128 value, int64_t unit) {
  const auto divisor = static_cast<Unsigned128>(unit);
  return (value + divisor / 2) / divisor;
}

}  // namespace

std::string PicoUsd::digits() const {
  return (pico_ < 0 ? "-" : "") + text_of(magnitude(pico_));
}

std::string PicoUsd::exact_dollars() const {
  std::string text = with_decimals(magnitude(pico_), 12);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return (pico_ < 0 ? "-" : "") + text;
}

std::string PicoUsd::dollars() const {
  const Unsigned128 size = magnitude(pico_);
  const Unsigned128 micros = rounded(size, 1'000'000);
  const std::string text = micros < 1'000'000 ? with_decimals(micros, 6)
                                              : with_decimals(rounded(size, 10'000'000'000), 2);
  return (pico_ < 0 ? "-" : "") + text;
}

Int128 PicoUsd::millicents() const {
  const auto size = static_cast<Int128>(rounded(magnitude(pico_), kPicoPerMillicent));
  return pico_ < 0 ? -size : size;
}

}  // namespace hm::pricing
