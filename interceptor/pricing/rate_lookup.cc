// The part of the rate card that only reads: days, fallbacks, finding a model.
#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>

#include "interceptor/pricing/id_pattern.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::pricing {
namespace {

constexpr int64_t kDayUs = int64_t{86'400} * 1'000'000;

struct Fallback {
  std::string_view bucket;
  std::string_view next;
};

// A rate that the rate set in force does not list is the next one's.
constexpr std::array kFallbacks = {
    Fallback{"cache_read", "input"},
    Fallback{"cache_write_5m", "input"},
    Fallback{"cache_write_1h", "cache_write_5m"},
    Fallback{"cache_write_30m", "input"},
    Fallback{"cache_write_12h", "cache_write_30m"},
    Fallback{"input_audio", "input"},
    Fallback{"input_image", "input"},
    Fallback{"input_video", "input"},
    Fallback{"cache_read_audio", "cache_read"},
    Fallback{"cache_read_image", "cache_read"},
    Fallback{"output_audio", "output"},
    Fallback{"output_image", "output"},
    Fallback{"output_video", "output"},
};

std::string_view fallback_of(std::string_view bucket) {
  for (const Fallback& entry : kFallbacks)
    if (entry.bucket == bucket) return entry.next;
  return {};
}

// Ids as clients and providers decorate them: "models/" in front (Gemini), "[1m]" behind (a marker
// of Claude clients). Nothing else is cut.
std::string_view plain_id(std::string_view provider, std::string_view id) {
  if (provider == "gemini" && id.starts_with("models/")) id.remove_prefix(7);
  if (provider == "anthropic" && id.ends_with("[1m]")) id.remove_suffix(4);
  return id;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

Day day_of(int64_t wall_us) {
  int64_t day = wall_us / kDayUs;
  if (wall_us % kDayUs < 0) --day;
  return static_cast<Day>(day);
}

std::optional<Day> parse_day(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](size_t from, size_t count) {
    int value = 0;
    for (const char c : text.substr(from, count)) {
      if (c < '0' || c > '9') return -1;
      value = value * 10 + (c - '0');
    }
    return value;
  };
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (year < 0 || month < 1 || day < 1) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return static_cast<Day>(std::chrono::sys_days(date).time_since_epoch().count());
}

std::string day_text(Day day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  std::string text = "0000-00-00";
  const auto put = [&](size_t end, unsigned value) {  // its last digit stands before `end`
    for (; value > 0 && end > 0; value /= 10) text[--end] = static_cast<char>('0' + value % 10);
  };
  put(4, static_cast<unsigned>(static_cast<int>(date.year())));
  put(7, static_cast<unsigned>(date.month()));
  put(10, static_cast<unsigned>(date.day()));
  return text;
}

std::optional<int64_t> RateSet::find(std::string_view bucket) const {
  const auto found = rates.find(bucket);
  if (found == rates.end()) return std::nullopt;
  return found->second;
}

std::optional<int64_t> RateSet::find_or_fallback(std::string_view bucket) const {
  for (; !bucket.empty(); bucket = fallback_of(bucket))
    if (const auto rate = find(bucket)) return rate;
  return std::nullopt;
}

const Period* ModelEntry::period_on(Day day) const {
  if (periods.empty()) return nullptr;
  if (periods.front().from && day < *periods.front().from) return &periods.front();
  for (const Period& period : periods)
    if ((!period.from || *period.from <= day) && (!period.to || day < *period.to)) return &period;
  return nullptr;
}

const ModelEntry* RateCard::find_in(const Layer& layer, std::string_view provider,
                                    std::string_view id) const {
  const auto of_provider = layer.providers.find(provider);
  if (of_provider == layer.providers.end()) return nullptr;
  const Index& index = of_provider->second;
  if (const auto exact = index.exact.find(id); exact != index.exact.end())
    return &entries_[exact->second];
  const ModelEntry* only = nullptr;
  for (const auto& [position, pattern] : index.patterns) {
    if (!pattern->matches(id)) continue;
    if (only != nullptr) return nullptr;  // two claim it: then nobody knows
    only = &entries_[position];
  }
  return only;
}

const ModelEntry* RateCard::find(std::string_view provider, std::string_view id, Day day) const {
  const std::string_view plain = plain_id(provider, id);
  if (plain.empty() || plain.size() > IdPattern::kMaxId) return nullptr;
  if (const ModelEntry* mine = find_in(layers_[0], provider, plain)) {
    const auto& from = mine->periods.front().from;
    if (!mine->from_override || !from || *from <= day) return mine;
  }
  return find_in(layers_[1], provider, plain);
}

std::vector<std::string> RateCard::closest(std::string_view provider, std::string_view id,
                                           size_t limit) const {
  id = plain_id(provider, id);
  std::vector<std::pair<size_t, std::string>> near;
  if (id.empty() || id.size() > IdPattern::kMaxId) return {};
  for (const ModelEntry& entry : entries_) {
    if (entry.provider != provider) continue;
    for (const std::string& known : entry.ids) {
      const size_t distance = edit_distance(id, known);
      if (distance * 2 <= std::max(id.size(), known.size())) near.emplace_back(distance, known);
    }
  }
  std::sort(near.begin(), near.end());
  near.erase(std::unique(near.begin(), near.end()), near.end());
  if (near.size() > limit) near.resize(limit);
  std::vector<std::string> ids;
  for (auto& [distance, known] : near) ids.push_back(std::move(known));
  return ids;
}

std::optional<RateCard::PerCall> RateCard::per_call(std::string_view provider,
                                                    std::string_view name) const {
  const auto of_provider = per_calls_.find(std::string(provider));
  if (of_provider == per_calls_.end()) return std::nullopt;
  const auto found = of_provider->second.find(std::string(name));
  if (found == of_provider->second.end()) return std::nullopt;
  return found->second;
}

bool RateCard::is_free_key(std::string_view key_print) const {
  return !key_print.empty() && free_keys_.contains(key_print);
}

std::string text_of(const Rational& factor) {
  int64_t scale = 1;
  std::string::size_type decimals = 0;
  while (scale % factor.denominator != 0 && decimals < 3) {
    scale *= 10;
    ++decimals;
  }
  if (scale % factor.denominator != 0)
    return std::to_string(factor.numerator) + "/" + std::to_string(factor.denominator);
  std::string digits = std::to_string(factor.numerator * (scale / factor.denominator));
  if (decimals == 0) return digits;
  if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
  return digits.insert(digits.size() - decimals, ".");
}

std::optional<Rational> RateCard::discount(std::string_view provider) const {
  const auto found = discounts_.find(provider);
  if (found == discounts_.end()) return std::nullopt;
  return found->second;
}

}  // namespace hm::pricing
