#include "interceptor/pricing/usage_buckets.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace hm::pricing {
namespace {

constexpr int64_t kMaxTokens = int64_t{1} << 50;  // of one figure; far beyond any model

struct PartName {
  std::string_view bucket;
  size_t figure;  // index into Figures
};

enum Figure : size_t { kInput, kCacheRead, kWriteShort, kWriteLong, kOutput, kFigures };

constexpr std::array kParts = {
    PartName{"input_audio", kInput},          PartName{"input_image", kInput},
    PartName{"input_video", kInput},          PartName{"cache_read_audio", kCacheRead},
    PartName{"cache_read_image", kCacheRead}, PartName{"cache_write_30m", kWriteShort},
    PartName{"cache_write_12h", kWriteShort}, PartName{"output_audio", kOutput},
    PartName{"output_image", kOutput},        PartName{"output_video", kOutput},
};

// What is left of the short cache writes: OpenAI counts them in one number whose lifetime only the
// request knows; 30 minutes is its default.
std::string_view short_write_name(const RateSet& rates, const std::string& lifetime) {
  if (!rates.find("cache_write_30m")) return "cache_write_5m";
  if (lifetime.empty() || lifetime == "30m") return "cache_write_30m";
  if (lifetime == "12h") return "cache_write_12h";
  return {};
}

// Models that speak or draw only have one output rate, and it is not called output.
std::string_view output_name(const RateSet& rates) {
  std::string_view only = "output";
  if (rates.find(only)) return only;
  int found = 0;
  for (const PartName& part : kParts) {
    if (part.figure != kOutput || !rates.find(part.bucket)) continue;
    only = part.bucket;
    ++found;
  }
  return found == 1 ? only : "output";
}

}  // namespace

bool is_sane(const Usage& usage) {
  const auto fits = [](int64_t tokens) { return tokens >= 0 && tokens <= kMaxTokens; };
  return fits(usage.input_tokens) && fits(usage.cache_read_tokens) &&
         fits(usage.cache_write_5m_tokens) && fits(usage.cache_write_1h_tokens) &&
         fits(usage.output_tokens) && usage.parts.size() <= 64 &&
         std::all_of(usage.parts.begin(), usage.parts.end(),
                     [&](const UsagePart& part) { return fits(part.tokens); });
}

bool is_zero(const Usage& usage) {
  return usage.prompt_tokens() == 0 && usage.output_tokens == 0;
}

Buckets split(const Usage& usage, const RateSet& rates, const std::string& cache_lifetime) {
  Buckets result;
  result.list.reserve(kFigures);
  std::array<int64_t, kFigures> left = {usage.input_tokens, usage.cache_read_tokens,
                                        usage.cache_write_5m_tokens, usage.cache_write_1h_tokens,
                                        usage.output_tokens};
  std::array<int64_t, kParts.size()> parts{};
  for (const UsagePart& part : usage.parts) {
    const auto* known = std::find_if(kParts.begin(), kParts.end(), [&](const PartName& name) {
      return name.bucket == part.bucket;
    });
    if (part.tokens == 0) continue;
    if (known == kParts.end()) return {{}, "unknown_bucket"};
    // Without a rate of its own a part costs what the rest of its figure costs.
    if (known->figure != kWriteShort && !rates.find(known->bucket)) continue;
    parts[static_cast<size_t>(known - kParts.begin())] += part.tokens;
    left[known->figure] -= part.tokens;
    if (left[known->figure] < 0) return {{}, "parts_do_not_fit"};
  }

  const std::string_view short_write = short_write_name(rates, cache_lifetime);
  if (short_write.empty() && left[kWriteShort] > 0) return {{}, "unknown_cache_lifetime"};
  const std::array<std::string_view, kFigures> names = {"input", "cache_read", short_write,
                                                        "cache_write_1h", output_name(rates)};
  const bool in_parts = !usage.parts.empty();
  for (size_t figure = 0; figure < kFigures; ++figure) {
    if (left[figure] > 0) result.list.push_back({names[figure], left[figure]});
    for (size_t i = 0; in_parts && i < kParts.size(); ++i) {
      if (kParts[i].figure != figure || parts[i] == 0) continue;
      const auto same = std::find_if(result.list.begin(), result.list.end(),
                                     [&](const Bucket& b) { return b.name == kParts[i].bucket; });
      if (same != result.list.end())
        same->tokens += parts[i];
      else
        result.list.push_back({kParts[i].bucket, parts[i]});
    }
  }
  return result;
}

}  // namespace hm::pricing
