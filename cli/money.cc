#include "cli/money.h"

#include <string_view>

namespace hm::cli {

std::string dollars(PicoUsd amount) {
  std::string digits = amount.dollars();
  const bool negative = digits.starts_with('-');
  if (negative) digits.erase(0, 1);
  if (digits == "1.000000") digits = "1.00";
  const size_t point = digits.find('.');
  const size_t whole = point == std::string::npos ? digits.size() : point;
  std::string out = negative ? "-$" : "$";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && i < whole && (whole - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out;
}

std::string dollars_at_least(PicoUsd amount, bool lower_bound) {
  return lower_bound ? ">= " + dollars(amount) : dollars(amount);
}

}  // namespace hm::cli
