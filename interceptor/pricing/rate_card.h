// The dated rate card: what a token of which model costs on which day. Bundled with the binary,
// never fetched. Immutable once made, so any thread may read one. Rates are integers, pico-USD per
// token (USD per million tokens x 1,000,000) or per call; a card with a floating point number in it
// is refused whole. Reference: the notes of rates/rates-*.json.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace hm::pricing {

class IdPattern;

using Day = int32_t;  // UTC days since 1970-01-01

[[nodiscard]] Day day_of(int64_t wall_us);
[[nodiscard]] std::optional<Day> parse_day(std::string_view text);  // "2026-11-15"
[[nodiscard]] std::string day_text(Day day);

// Bucket name to rate: input, output, cache_read, cache_write_5m, ..., and rates that no response
// shows in tokens: per_minute is for answers that tell seconds of audio, the rest is never used.
struct RateSet {
  std::map<std::string, int64_t, std::less<>> rates;

  [[nodiscard]] std::optional<int64_t> find(std::string_view bucket) const;
  // With the card's fallbacks: cache_read is input where no rate of its own is listed, and so on.
  [[nodiscard]] std::optional<int64_t> find_or_fallback(std::string_view bucket) const;
  [[nodiscard]] bool empty() const { return rates.empty(); }
};

struct LongContext {
  int64_t threshold_tokens = 0;
  bool at_or_above = false;  // false: strictly above
  RateSet rates;
};

struct ServiceTier {
  RateSet rates;
  RateSet long_rates;    // empty: not offered above the threshold
  bool derived = false;  // multiplied out, not read from a page
};

struct Period {
  std::optional<Day> from;                // inclusive
  std::optional<Day> to;                  // exclusive
  std::optional<Day> guaranteed_through;  // a promotional price; later costs are marked stale
  RateSet rates;
  std::optional<LongContext> long_context;
  std::map<std::string, ServiceTier, std::less<>> tiers;
};

struct Rational {
  int64_t numerator = 1;
  int64_t denominator = 1;
};
[[nodiscard]] std::string text_of(const Rational& factor);  // "1.1" where that is exact, else "5/3"

struct ModelEntry {
  std::string provider;  // anthropic, openai, gemini, xai
  std::string model;
  std::string kind;              // chat, embedding, image, audio, video, moderation, fine-tuned
  std::string status;            // active, deprecated, retired, ...
  std::vector<std::string> ids;  // exact ids, `model` among them
  std::string pattern;           // regular expression over the whole id; may be empty
  std::vector<Period> periods;   // ordered, touching
  std::map<std::string, Rational, std::less<>> geo;  // us, regional
  bool agree = false;                 // two independent sources gave the same standard rates
  std::vector<std::string> sources;   // where the figures were read
  std::vector<std::string> disagree;  // what others say instead
  std::string confidence;             // empty: nothing to be said against it
  std::string notes;
  bool from_override = false;

  // A day before the first period is priced with the first; null after a closed last one.
  [[nodiscard]] const Period* period_on(Day day) const;
};

class RateCard {
 public:
  // The card that came with this binary. It is checked by tests; a broken one would abort.
  [[nodiscard]] static const RateCard& bundled();

  // A whole card from JSON text. malformed: not a card, and `why` (when given) says what is wrong
  // and where, for a person.
  [[nodiscard]] static Result<RateCard> parse(std::string_view json, std::string* why = nullptr);

  // This card with a user's overrides in front of it. The text has the card's shape, all parts
  // optional: "models" (matched first; a model that the card has is replaced from the override's
  // first day on), "aliases" ({"openai": {"my-gpt": "gpt-5.5"}}), "providers" (per_call),
  // "discounts"
  // ({"openai": "9/10"}, on everything), "free_tier" ({"keys": ["0123456789abcdef"]}, prints of
  // keys that pay nothing). Unknown fields are errors. Only here may 0 be a price.
  [[nodiscard]] Result<RateCard> with_overrides(std::string_view json,
                                                std::string* why = nullptr) const;

  // Exact id or alias, else the one entry whose own pattern matches; never a prefix. Overrides
  // first, as long as they reach back to `day`. Null: unknown, or claimed by two patterns.
  [[nodiscard]] const ModelEntry* find(std::string_view provider, std::string_view id,
                                       Day day) const;
  // Known ids that look like this one, nearest first, as a hint for people; never used for a price.
  [[nodiscard]] std::vector<std::string> closest(std::string_view provider, std::string_view id,
                                                 size_t limit = 3) const;

  struct PerCall {
    int64_t pico_usd = 0;
    bool from_override = false;
  };
  [[nodiscard]] std::optional<PerCall> per_call(std::string_view provider,
                                                std::string_view name) const;
  [[nodiscard]] std::optional<Rational> discount(std::string_view provider) const;
  // A key that the user marked as one that pays nothing, by its print.
  [[nodiscard]] bool is_free_key(std::string_view key_print) const;

  [[nodiscard]] const std::vector<ModelEntry>& entries() const { return entries_; }
  [[nodiscard]] const std::map<std::string, std::map<std::string, PerCall>>& per_calls() const {
    return per_calls_;
  }
  [[nodiscard]] const std::string& id() const { return id_; }  // hash of the content
  [[nodiscard]] const std::string& card_date() const { return card_date_; }
  [[nodiscard]] const std::string& evidence_until() const { return evidence_until_; }
  [[nodiscard]] bool has_overrides() const { return overrides_; }
  [[nodiscard]] std::string source_name() const { return "bundled-" + card_date_; }

 private:
  friend class CardReader;
  struct TextHash : std::hash<std::string_view> {
    using is_transparent = void;  // no string is made to look one up
  };
  struct Index {  // of one provider; positions in entries_
    std::unordered_map<std::string, size_t, TextHash, std::equal_to<>> exact;
    std::vector<std::pair<size_t, std::shared_ptr<const IdPattern>>> patterns;
  };
  struct Layer {  // 0 the overrides, 1 the card
    std::map<std::string, Index, std::less<>> providers;
  };
  [[nodiscard]] const ModelEntry* find_in(const Layer& layer, std::string_view provider,
                                          std::string_view id) const;

  std::vector<ModelEntry> entries_;  // overrides first
  Layer layers_[2];
  std::map<std::string, std::map<std::string, PerCall>> per_calls_;
  std::map<std::string, Rational, std::less<>> discounts_;
  std::set<std::string, std::less<>> free_keys_;
  std::string id_;
  std::string card_date_;
  std::string evidence_until_;
  bool overrides_ = false;
};

}  // namespace hm::pricing
