#include "interceptor/pricing/price.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include "interceptor/pricing/call_terms.h"
#include "interceptor/pricing/pico_usd.h"
#include "interceptor/pricing/usage_buckets.h"

namespace hm::pricing {
namespace {

constexpr int64_t kMaxPico = std::numeric_limits<int64_t>::max();

// The record's doubt about which of several modalities came from the cache.
constexpr const char* kCachedModality = "cached_modality";

// The answer does not say what the output was: text, a picture, speech.
constexpr const char* kOutputModality = "output_modality";

bool output_has_several_rates(const RateSet& rates) {
  constexpr std::array<std::string_view, 4> kOutputs = {"output", "output_audio", "output_image",
                                                        "output_video"};
  return std::count_if(kOutputs.begin(), kOutputs.end(),
                       [&](std::string_view bucket) { return rates.find(bucket).has_value(); }) > 1;
}

// Most models have one rate for all modalities; then it is no doubt about the price.
bool modality_matters(const Usage& usage, const RateSet& rates) {
  constexpr std::string_view kInput = "input_";
  return std::any_of(usage.parts.begin(), usage.parts.end(), [&](const UsagePart& part) {
    if (!part.bucket.starts_with(kInput) || part.tokens == 0) return false;
    return rates.find(part.bucket) || rates.find("cache_read_" + part.bucket.substr(kInput.size()));
  });
}

// One call being priced. A step that cannot go on says why in `reason` and everything ends.
class Bill {
 public:
  Bill(const RateCard& card, const CallRecord& record, PriceResult& result)
      : card_(card),
        record_(record),
        result_(result),
        provider_(record.rate_namespace.empty() ? record.provider : record.rate_namespace),
        day_(day_of(record.requested_at_us)) {}

  void make() {
    if (!sane()) return refuse("malformed_usage");
    if (nothing_counted()) return price_nothing();
    if (record_.bucket_doubt == "fallback_credit")
      flag("fallback_credit");  // the bill was changed afterwards: ours is near, not exact
    else if (record_.bucket_doubt.starts_with("unknown_usage_field:"))
      flag("unknown_usage_field");  // a figure that may be a new charge, or no charge at all
    else if (!record_.bucket_doubt.empty() && record_.bucket_doubt != kCachedModality &&
             record_.bucket_doubt != kOutputModality)
      return refuse(record_.bucket_doubt.c_str());
    if (!add_own_usage() || !add_extra_usage() || !add_tool_calls() || !add_discount()) return;
    if (total_ > kMaxPico) return refuse("overflow");
    result_.pico_usd = static_cast<int64_t>(total_);
    result_.state = PriceState::priced;
  }

 private:
  void refuse(const char* reason) {
    result_.state = PriceState::unpriced;
    result_.reason = reason;
    result_.lines.clear();
  }
  bool stop(const char* reason) {
    refuse(reason);
    return false;
  }
  void flag(const char* word) {
    auto& flags = result_.flags;
    if (std::find(flags.begin(), flags.end(), word) == flags.end()) flags.emplace_back(word);
  }
  void zero() { result_.state = PriceState::priced; }

  [[nodiscard]] bool sane() const {
    return is_sane(record_.usage) &&
           std::all_of(record_.iterations.begin(), record_.iterations.end(), is_sane) &&
           std::all_of(record_.extra_usage.begin(), record_.extra_usage.end(),
                       [](const ExtraUsage& extra) { return is_sane(extra.usage); }) &&
           std::all_of(record_.tool_calls.begin(), record_.tool_calls.end(),
                       [](const ToolCalls& calls) { return calls.count >= 0; });
  }
  [[nodiscard]] bool nothing_counted() const {
    return is_zero(record_.usage) &&
           std::all_of(record_.extra_usage.begin(), record_.extra_usage.end(),
                       [](const ExtraUsage& extra) { return is_zero(extra.usage); }) &&
           std::all_of(record_.tool_calls.begin(), record_.tool_calls.end(),
                       [](const ToolCalls& calls) { return calls.count == 0; });
  }
  [[nodiscard]] const std::string& own_model() const {
    return record_.model.empty() ? record_.requested_model : record_.model;
  }

  // Zeros are a price only where they are exact and tokens are what is charged.
  void price_nothing() {
    if (!record_.tokens_complete) {
      result_.state = PriceState::no_usage;
      result_.reason = "no_usage";
      return;
    }
    if (record_.counted_tokens || record_.status != CallStatus::success ||
        record_.http_status.value_or(200) >= 400)
      return zero();
    if (!record_.bucket_doubt.empty()) return refuse(record_.bucket_doubt.c_str());
    const ModelEntry* entry = card_.find(provider_, own_model(), day_);
    if (entry == nullptr) {
      if (record_.request_kind == "image" || record_.request_kind == "audio")
        return refuse(own_model().empty() ? "no_model" : "unknown_model");
      return zero();
    }
    const Period* period = entry->period_on(day_);
    if (period == nullptr) return refuse("no_period");
    const auto by_token = [](const auto& rate) {
      return rate.first.starts_with("input") || rate.first.starts_with("output");
    };
    if (std::none_of(period->rates.rates.begin(), period->rates.rates.end(), by_token))
      return refuse("unit_not_in_usage");  // charged by the minute, the image, the character
    zero();
  }

  bool add_own_usage() {
    const TierTerm tier = tier_term(provider_, record_.service_tier, record_.mode);
    if (tier.name.empty()) return stop("unknown_tier");
    if (tier.prepaid) flag("prepaid_tier");
    result_.tier = tier.name;
    const auto geo = geo_term(provider_, record_.geo, record_.host);
    if (!geo) return stop("unknown_geo");
    place_ = *geo;

    // Tool charges depend on the model too, so it is looked up even when its own tokens are none.
    own_entry_ = card_.find(provider_, own_model(), day_);
    if (own_entry_ != nullptr) {
      result_.entry = own_entry_->model;
      if (own_entry_->from_override) used_override_ = true;
    }
    if (is_zero(record_.usage)) return true;
    const Period* period = nullptr;
    for (const Usage& usage : sub_calls()) {
      bool long_context = false;
      if (!add_usage(usage, own_model(), tier.name, &period, &long_context)) return false;
      result_.long_context = result_.long_context || long_context;
    }
    result_.period_from = period->from ? day_text(*period->from) : "";
    if (own_entry_->geo.contains(place_)) result_.geo = place_;
    return true;
  }

  // Each sub-call has a prompt of its own, and that is what thresholds are about. Sub-calls that do
  // not add up to the record are not believed.
  [[nodiscard]] std::span<const Usage> sub_calls() const {
    if (record_.iterations.size() < 2 || !record_.usage.parts.empty()) return {&record_.usage, 1};
    const auto figures = [](const Usage& u) {
      return std::array{u.input_tokens, u.cache_read_tokens, u.cache_write_5m_tokens,
                        u.cache_write_1h_tokens, u.output_tokens};
    };
    std::array<int64_t, 5> left = figures(record_.usage);
    for (const Usage& usage : record_.iterations)
      for (size_t i = 0; i < left.size(); ++i) left[i] -= figures(usage)[i];
    const bool add_up = std::all_of(left.begin(), left.end(), [](int64_t n) { return n == 0; });
    return add_up ? std::span(record_.iterations) : std::span(&record_.usage, 1);
  }

  bool add_extra_usage() {
    for (const ExtraUsage& extra : record_.extra_usage) {
      if (is_zero(extra.usage)) continue;
      const std::string& model = extra.model.empty() ? own_model() : extra.model;
      // The batch discount covers the whole request. Whether another model inside it was sped up
      // or slowed down is told nowhere.
      const bool same_tier = result_.tier == "standard" || result_.tier == "batch";
      if (!same_tier) flag("extra_usage_tier");
      if (!add_usage(extra.usage, model, same_tier ? result_.tier : "standard", nullptr, nullptr))
        return false;
    }
    return true;
  }

  bool add_usage(const Usage& usage, const std::string& model, const std::string& tier,
                 const Period** period_out, bool* long_out) {
    if (model.empty()) return stop("no_model");
    const ModelEntry* entry =
        &model == &own_model() ? own_entry_ : card_.find(provider_, model, day_);
    if (entry == nullptr) return stop("unknown_model");
    if (entry->from_override) used_override_ = true;
    const Period* period = entry->period_on(day_);
    if (period == nullptr) return stop("no_period");
    if (period->guaranteed_through && day_ > *period->guaranteed_through) flag("stale_rate");

    bool long_context = false;
    const RateSet* rates = rates_for(usage, *period, tier, long_context);
    if (rates == nullptr) return false;
    if (period_out != nullptr) *period_out = period;
    if (long_out != nullptr) *long_out = long_context;

    if (record_.bucket_doubt == kCachedModality && modality_matters(usage, *rates))
      return stop(kCachedModality);
    if (record_.bucket_doubt == kOutputModality && output_has_several_rates(*rates))
      return stop(kOutputModality);
    Rational factor;
    if (const auto place = entry->geo.find(place_); place != entry->geo.end())
      factor = place->second;
    const Buckets buckets = split(usage, *rates, record_.cache_lifetime);
    if (buckets.fault != nullptr) return stop(buckets.fault);
    for (const Bucket& bucket : buckets.list) {
      const auto rate = rates->find_or_fallback(bucket.name);
      if (!rate) return stop("missing_bucket");
      // The reader of the card made sure that this division leaves nothing over.
      PriceLine line{entry->model,
                     std::string(bucket.name),
                     false,
                     bucket.tokens,
                     *rate * factor.numerator / factor.denominator,
                     0,
                     *rate,
                     {}};
      if (factor.numerator != factor.denominator) line.multiplier = text_of(factor);
      if (!add_line(std::move(line))) return false;
    }
    return true;
  }

  const RateSet* rates_for(const Usage& usage, const Period& period, const std::string& tier,
                           bool& long_context) {
    if (period.long_context) {
      const int64_t prompt = usage.prompt_tokens();
      const int64_t threshold = period.long_context->threshold_tokens;
      long_context = period.long_context->at_or_above ? prompt >= threshold : prompt > threshold;
    }
    if (tier == "standard") return long_context ? &period.long_context->rates : &period.rates;
    const auto found = period.tiers.find(tier);
    if (found == period.tiers.end()) {
      refuse("tier_not_offered");
      return nullptr;
    }
    if (!long_context) return &found->second.rates;
    if (found->second.long_rates.empty()) {
      refuse("long_context_not_offered");
      return nullptr;
    }
    return &found->second.long_rates;
  }

  bool add_tool_calls() {
    const std::string model = own_entry_ != nullptr ? own_entry_->model : "";
    for (const ToolCalls& calls : record_.tool_calls) {
      if (calls.count == 0) continue;
      const ToolTerm term = tool_term(provider_, model, calls);
      if (term.kind == ToolTerm::Kind::free) continue;
      if (term.kind == ToolTerm::Kind::not_covered) {
        flag("not_covered");
        continue;
      }
      if (term.kind == ToolTerm::Kind::per_second) {
        if (!add_seconds(term)) return false;
        continue;
      }
      const auto charge = term.kind == ToolTerm::Kind::per_call
                              ? card_.per_call(provider_, term.charge)
                              : std::nullopt;
      if (!charge) return stop("unknown_tool");
      if (charge->from_override) used_override_ = true;
      if (term.hidden_tokens) flag("search_tokens");
      if (!add_line(
              {model, term.charge, true, term.count, charge->pico_usd, 0, charge->pico_usd, {}}))
        return false;
    }
    return true;
  }

  bool add_seconds(const ToolTerm& term) {
    if (own_entry_ == nullptr) return stop(own_model().empty() ? "no_model" : "unknown_model");
    const Period* period = own_entry_->period_on(day_);
    if (period == nullptr) return stop("no_period");
    const auto per_minute = period->rates.find("per_minute");
    // A card keeps rates per million tokens in pico-USD per token; this one is USD per minute.
    constexpr int64_t kMillion = 1'000'000;
    if (!per_minute || *per_minute * kMillion % 60 != 0) return stop("per_minute");
    const int64_t rate = *per_minute * kMillion / 60;
    result_.period_from = period->from ? day_text(*period->from) : "";
    return add_line({own_entry_->model, term.charge, true, term.count, rate, 0, rate, {}});
  }

  bool add_discount() {
    const auto factor = card_.discount(provider_);
    if (!factor || total_ > kMaxPico) return true;
    used_override_ = true;
    // The one place where a price is rounded: half up, once per call.
    const Int128 after =
        (total_ * factor->numerator * 2 + factor->denominator) / (Int128{factor->denominator} * 2);
    const Int128 change = after - total_;
    if (after > kMaxPico) return stop("overflow");
    const auto amount = static_cast<int64_t>(change);
    result_.lines.push_back({"", "discount", false, 1, amount, amount, 0, text_of(*factor)});
    total_ = after;
    return true;
  }

  // Sub-calls at the same rate make one line.
  bool add_line(PriceLine line) {
    const auto same =
        std::find_if(result_.lines.begin(), result_.lines.end(), [&](const PriceLine& known) {
          return known.model == line.model && known.bucket == line.bucket &&
                 known.per_call == line.per_call && known.rate_pico_usd == line.rate_pico_usd &&
                 known.multiplier == line.multiplier;
        });
    const Int128 amount = static_cast<Int128>(line.count) * line.rate_pico_usd;
    const int64_t before = same != result_.lines.end() ? same->amount_pico_usd : 0;
    if (amount + before > kMaxPico) return stop("overflow");
    total_ += amount;
    line.amount_pico_usd = static_cast<int64_t>(amount);
    if (same != result_.lines.end()) {
      same->count += line.count;
      same->amount_pico_usd += line.amount_pico_usd;
    } else {
      result_.lines.push_back(std::move(line));
    }
    return true;
  }

 public:
  [[nodiscard]] bool used_override() const { return used_override_; }

 private:
  const RateCard& card_;
  const CallRecord& record_;
  PriceResult& result_;
  const std::string provider_;
  const Day day_;
  const ModelEntry* own_entry_ = nullptr;
  std::string place_;
  Int128 total_ = 0;
  bool used_override_ = false;
};

// Which figure is the cost, and of which kind.
void settle(const RateCard& card, const CallRecord& record, bool used_override,
            PriceResult& result) {
  std::optional<int64_t> figure;
  if (result.state == PriceState::priced) {
    figure = result.pico_usd;
    result.rates_source = used_override ? "override" : card.source_name();
  }
  if (record.provider_cost_pico_usd && *record.provider_cost_pico_usd >= 0) {
    const int64_t billed = *record.provider_cost_pico_usd;
    if (result.state != PriceState::priced) {
      result.flags.emplace_back("provider_cost_only");
      result.state = PriceState::priced;
      result.reason.clear();
    } else if (billed != result.pico_usd) {
      result.flags.emplace_back("provider_cost_differs");
    }
    figure = billed;
    result.rates_source = "provider";
  }
  const bool free_key = card.is_free_key(record.key_print);
  if (free_key && figure) result.flags.emplace_back("free_tier_key");
  if (record.billing == "subscription" || free_key)
    result.shadow_cost_pico_usd = figure;
  else
    result.cost_pico_usd = figure;
}

}  // namespace

PriceResult price(const RateCard& card, const CallRecord& record) {
  PriceResult result;
  result.card_id = card.id();
  Bill bill(card, record, result);
  bill.make();
  settle(card, record, bill.used_override(), result);
  return result;
}

}  // namespace hm::pricing
