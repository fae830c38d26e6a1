#include "interceptor/store/timestamp.h"

#include "interceptor/pricing/rate_card.h"

namespace hm::store {

std::optional<int64_t> parse_timestamp(std::string_view text) {
  if (text.size() < 20 || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text.back() != 'Z')
    return std::nullopt;
  const auto day = pricing::parse_day(text.substr(0, 10));
  if (!day) return std::nullopt;
  const auto pair = [&](size_t at) -> int64_t {
    const char tens = text[at], ones = text[at + 1];
    if (tens < '0' || tens > '9' || ones < '0' || ones > '9') return -1;
    return (tens - '0') * 10 + (ones - '0');
  };
  const int64_t hour = pair(11), minute = pair(14), second = pair(17);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
    return std::nullopt;
  std::string_view fraction = text.substr(19, text.size() - 20);
  int64_t micros = 0;
  if (!fraction.empty()) {
    if (fraction[0] != '.' || fraction.size() < 2) return std::nullopt;
    fraction.remove_prefix(1);
    for (size_t i = 0; i < 6; ++i) {
      const char digit = i < fraction.size() ? fraction[i] : '0';
      if (digit < '0' || digit > '9') return std::nullopt;
      micros = micros * 10 + (digit - '0');
    }
  }
  return (((int64_t{*day} * 24 + hour) * 60 + minute) * 60 + second) * 1'000'000 + micros;
}

}  // namespace hm::store
