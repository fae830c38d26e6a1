#include "interceptor/pricing/decimal_text.h"

#include <algorithm>

namespace hm::pricing {
namespace {

constexpr int64_t kMaxRate = 1'000'000'000'000'000;

std::optional<int64_t> positive(std::string_view text) {
  const auto value = scaled(text, 0);
  return value && *value > 0 ? value : std::nullopt;
}

}  // namespace

std::optional<int64_t> scaled(std::string_view text, int decimals) {
  int64_t value = 0;
  int after_point = -1;
  if (text.empty() || text.size() > 24 || text.front() == '.' || text.back() == '.')
    return std::nullopt;
  for (const char c : text) {
    if (c == '.') {
      if (after_point >= 0) return std::nullopt;
      after_point = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    if (after_point >= 0 && ++after_point > decimals) {
      if (c != '0') return std::nullopt;
      continue;
    }
    value = value * 10 + (c - '0');
    if (value > kMaxRate) return std::nullopt;
  }
  for (int i = std::clamp(after_point, 0, decimals); i < decimals; ++i) {
    value *= 10;
    if (value > kMaxRate) return std::nullopt;
  }
  return value;
}

std::optional<Rational> rational(std::string_view text) {
  if (const size_t slash = text.find('/'); slash != std::string_view::npos) {
    const auto over = scaled(text.substr(0, slash), 0);
    const auto under = positive(text.substr(slash + 1));
    if (!over || !under || *over > 1'000'000 || *under > 1'000'000) return std::nullopt;
    return Rational{*over, *under};
  }
  const auto thousandths = scaled(text, 3);
  if (!thousandths || *thousandths > 1'000'000) return std::nullopt;
  Rational result{*thousandths, 1000};
  while (result.denominator > 1 && result.numerator % 10 == 0) {
    result.numerator /= 10;
    result.denominator /= 10;
  }
  return result;
}

}  // namespace hm::pricing
