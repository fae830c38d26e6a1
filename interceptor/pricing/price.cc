#include "interceptor/pricing/price.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "interceptor/pricing/call_terms.h"
#include "interceptor/pricing/pico_usd.h"
#include "interceptor/pricing/usage_buckets.h"

namespace hm::pricing {
namespace {

constexpr int64_t kMaxPico = std::numeric_limits<int64_t>::max();

// The record's doubt about which of several modalities came from the cache.
constexpr const char* kCachedModality = "cached_modality";

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
    else if (!record_.bucket_doubt.empty() && record_.bucket_doubt != kCachedModality)
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
    bool long_context = false;
    if (!add_usage(record_.usage, own_model(), tier.name, &period, &long_context)) return false;
    result_.period_from = period->from ? day_text(*period->from) : "";
    result_.long_context = long_context;
    if (own_entry_->geo.contains(place_)) result_.geo = place_;
    return true;
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
    const ModelEntry* entry = card_.find(provider_, model, day_);
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
    Rational factor;
    if (const auto place = entry->geo.find(place_); place != entry->geo.end())
      factor = place->second;
    const Buckets buckets = split(usage, *rates, record_.cache_lifetime);
    if (buckets.fault != nullptr) return stop(buckets.fault);
    for (const Bucket& bucket : buckets.list) {
      const auto rate = rates->find_or_fallback(bucket.name);
      if (!rate) return stop("missing_bucket");
      // The reader of the card made sure that this division leaves nothing over.
      const int64_t multiplied = *rate * factor.numerator / factor.denominator;
      if (!add_line(entry->model, bucket.name, false, bucket.tokens, multiplied)) return false;
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
      const auto charge = term.kind == ToolTerm::Kind::per_call
                              ? card_.per_call(provider_, term.charge)
                              : std::nullopt;
      if (!charge) return stop("unknown_tool");
      if (charge->from_override) used_override_ = true;
      if (term.hidden_tokens) flag("search_tokens");
      if (!add_line(model, term.charge, true, term.count, charge->pico_usd)) return false;
    }
    return true;
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
    result_.lines.push_back({"", "discount", false, 1, amount, amount});
    total_ = after;
    return true;
  }

  bool add_line(const std::string& model, const std::string& bucket, bool per_call, int64_t count,
                int64_t rate) {
    const Int128 amount = static_cast<Int128>(count) * rate;
    if (amount > kMaxPico) return stop("overflow");
    total_ += amount;
    result_.lines.push_back({model, bucket, per_call, count, rate, static_cast<int64_t>(amount)});
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
  if (record.billing == "subscription")
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
