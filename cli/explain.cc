#include "cli/explain.h"

#include <algorithm>
#include <array>

#include "cli/json_text.h"
#include "cli/money.h"
#include "cli/rates_text.h"
#include "cli/text.h"
#include "common/base/clock.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::cli {
namespace {

using pricing::PriceLine;
using pricing::PriceResult;

struct Word {
  std::string_view word;
  std::string_view sentence;
};

constexpr std::array kReasons = {
    Word{"unknown_model", "no card and no rates.toml knows the model"},
    Word{"no_model", "neither request nor answer named a model"},
    Word{"no_usage", "the answer carried no usage, so there is nothing to price"},
    Word{"no_period", "the card has no rates for that day"},
    Word{"unknown_tier", "the service tier that was served is not known"},
    Word{"tier_not_offered", "the card has no rates of that service tier for this model"},
    Word{"long_context_not_offered",
         "the card has no rates of that service tier for prompts of this length"},
    Word{"unknown_geo", "the place of inference is not known"},
    Word{"unknown_bucket", "the usage has a kind of token that the card does not know"},
    Word{"missing_bucket", "the card has no rate for one kind of token of this call"},
    Word{"parts_do_not_fit", "the parts of the usage are larger than the whole"},
    Word{"unknown_cache_lifetime", "the lifetime of the cache write is not known"},
    Word{"cache_lifetime", "the lifetime of the cache write is not known"},
    Word{"cached_modality",
         "the answer does not tell which of text, audio and images came from the cache"},
    Word{"output_modality",
         "the answer does not tell how much of the output was text, audio or images"},
    Word{"unknown_modality", "the usage has tokens of a kind that is not known"},
    Word{"per_minute", "charged by the minute of audio, and its length or its rate is not known"},
    Word{"unknown_tool", "a tool was used whose charge is not known"},
    Word{"unit_not_in_usage",
         "charged by minute, image or character, which the usage does not tell"},
    Word{"malformed_usage", "the usage has impossible figures"},
    Word{"overflow", "the amount is beyond all reason"},
};

constexpr std::array kFlags = {
    Word{"prepaid_tier", "served from prepaid capacity; priced at the list"},
    Word{"stale_rate", "the price was promised up to an earlier day only"},
    Word{"not_covered", "a part is charged by time or account and is not in the figure"},
    Word{"search_tokens", "searches of this model are billed as a fixed block of tokens besides"},
    Word{"extra_usage_tier", "the tier of another model's part is not told; priced as standard"},
    Word{"fallback_credit", "the bill was changed afterwards; near, not exact"},
    Word{"unknown_usage_field", "the usage has a figure that is not known; it may be a new charge"},
    Word{"provider_cost_differs", "the provider's own figure differs from the card's"},
    Word{"provider_cost_only", "only the provider's own figure is known"},
    Word{"free_tier_key", "the key is marked as one that pays nothing"},
};

template <size_t N>
std::string sentence_of(const std::array<Word, N>& words, std::string_view word) {
  const auto* found = std::find_if(words.begin(), words.end(),
                                   [&](const Word& known) { return known.word == word; });
  return std::string(found == words.end() ? word : found->sentence);
}

std::string thousands_of(pricing::Int128 value) {
  if (value < 0) return "-" + thousands_of(-value);
  std::string digits = pricing::PicoUsd(value).digits();
  for (size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string pico(int64_t amount) {
  return thousands_of(amount) + " pico-USD";
}

std::string day_of_call(const store::StoredCall& call) {
  return iso8601_utc(call.record.requested_at_us).substr(0, 10);
}

std::string heading(const store::StoredCall& call, const PriceResult& price) {
  const CallRecord& r = call.record;
  const std::string& model = r.model.empty() ? r.requested_model : r.model;
  std::string out = (model.empty() ? "(no model)" : printable(model)) + ", " + day_of_call(call);
  if (!price.tier.empty()) out += ", tier " + printable(price.tier);
  if (!price.geo.empty()) out += ", geo " + printable(price.geo);
  if (price.long_context) out += ", long context";
  return out;
}

std::string price_text(const store::StoredCall& call, const PriceResult& price) {
  std::string out = heading(call, price) + "\n";
  for (const PriceLine& line : price.lines) out += "- " + price_line(line, price.entry) + "\n";
  const auto figure = price.cost_pico_usd ? price.cost_pico_usd : price.shadow_cost_pico_usd;
  const bool by_provider = price.rates_source == "provider";
  if (price.state == pricing::PriceState::priced) {
    if (!by_provider || !price.lines.empty())
      out += "- total: " + exact_amount(price.pico_usd) + "\n";
    if (by_provider)
      out += "- the provider's own figure: " + exact_amount(figure.value_or(0)) + "\n";
  }
  if (price.cost_pico_usd) {
    out += "cost " + dollars(pricing::PicoUsd(*price.cost_pico_usd));
  } else if (price.shadow_cost_pico_usd) {
    out += "shadow cost " + dollars(pricing::PicoUsd(*price.shadow_cost_pico_usd)) +
           ", not part of any spend";
  } else {
    out += "no cost: " + printable(price.reason) + ", " + about_reason(price.reason);
  }
  out += "\n";
  if (!price.rates_source.empty()) out += "source: " + printable(price.rates_source);
  if (!price.rates_source.empty() && by_provider) out += ", which is preferred to the card's total";
  if (!price.rates_source.empty()) out += "\n";
  if (!price.entry.empty())
    out += "card " + printable(price.card_id) + ", entry " + printable(price.entry) + ", period " +
           (price.period_from.empty() ? "from the beginning" : "from " + price.period_from) + "\n";
  for (const std::string& flag : price.flags) {
    out += "note: " + printable(flag) + ", " + about_flag(flag);
    if (flag == "unknown_usage_field") out += " (" + printable(call.record.bucket_doubt) + ")";
    out += "\n";
  }
  return out;
}

std::string tokens_text(const CallRecord& r) {
  const Usage& u = r.usage;
  std::string out = "tokens: " + thousands(u.input_tokens) + " input, " +
                    thousands(u.cache_read_tokens) + " cache read, " +
                    thousands(u.cache_write_5m_tokens + u.cache_write_1h_tokens) +
                    " cache write, " + thousands(u.output_tokens) + " output";
  if (u.thinking_tokens > 0) out += " (" + thousands(u.thinking_tokens) + " of them thinking)";
  if (!r.tokens_complete)
    out += "; a lower bound" +
           (r.incomplete_reason.empty() ? "" : " (" + printable(r.incomplete_reason) + ")");
  return out + "\n";
}

template <class T>
void money(JsonText& json, std::string_view name, const std::optional<T>& amount) {
  json.member(std::string(name) + "_pico_usd", amount);
  json.key(std::string(name) + "_usd");
  amount ? json.value(pricing::PicoUsd(*amount).exact_dollars()) : json.null();
}

void price_members(JsonText& json, const PriceResult& price) {
  money(json, "cost", price.cost_pico_usd);
  money(json, "shadow_cost", price.shadow_cost_pico_usd);
  json.member("unpriced_reason", price.reason)
      .member("rates_source", price.rates_source)
      .member("card_id", price.card_id)
      .member("entry", price.entry)
      .member("period_from", price.period_from)
      .member("tier", price.tier)
      .member("long_context", price.long_context)
      .member("geo", price.geo)
      .key("flags")
      .begin_array();
  for (const std::string& flag : price.flags) json.value(flag);
  json.end_array().key("lines").begin_array();
  for (const PriceLine& line : price.lines)
    json.begin_object()
        .member("model", line.model)
        .member("bucket", line.bucket)
        .member("per_call", line.per_call)
        .member("count", line.count)
        .member("list_rate_pico_usd", line.list_rate_pico_usd)
        .member("multiplier", line.multiplier)
        .member("rate_pico_usd", line.rate_pico_usd)
        .member("amount_pico_usd", line.amount_pico_usd)
        .member("text", price_line(line, price.entry))
        .end_object();
  json.end_array();
  json.member("lines_total_pico_usd", price.pico_usd);
}

}  // namespace

std::string price_line(const PriceLine& line, std::string_view own_model) {
  std::string out = printable(line.bucket);
  if (!line.model.empty() && !own_model.empty() && line.model != own_model)
    out += " (" + printable(line.model) + ")";
  out += ": ";
  if (line.bucket == "discount") {
    if (!line.multiplier.empty()) out += "the sum x " + printable(line.multiplier) + " = ";
  } else if (line.bucket == "audio_seconds") {
    const auto per_minute = static_cast<pricing::Int128>(line.rate_pico_usd) * 60;
    out += thousands(line.count) + (line.count == 1 ? " second" : " seconds") + " at " +
           pricing::PicoUsd(per_minute).exact_dollars() + " per minute = ";
  } else if (line.per_call) {
    out += thousands(line.count) + (line.count == 1 ? " call" : " calls") + " at " +
           per_thousand_calls(line.rate_pico_usd) + " per 1,000 = ";
  } else {
    out += thousands(line.count) + " x " + per_million(line.list_rate_pico_usd) + " per M";
    if (!line.multiplier.empty()) out += " x " + printable(line.multiplier);
    out += " = ";
  }
  return out + pico(line.amount_pico_usd);
}

std::string exact_amount(int64_t pico_usd) {
  std::string out = pico(pico_usd) + " = ";
  const int64_t nano = pico_usd / 1000, rest = pico_usd % 1000;
  if (rest == 0) {
    out += thousands_of(nano) + " nano-USD exactly";
  } else {
    const std::string digits = std::to_string(1000 + rest).substr(1);
    out += thousands_of(nano) + "." + digits + " nano-USD, shown as " +
           thousands_of(nano + (rest >= 500 ? 1 : 0)) + " nano-USD";
  }
  return out + " = " + per_million(pico_usd) + " micro-USD";
}

std::string about_reason(std::string_view reason) {
  return sentence_of(kReasons, reason);
}

std::string about_flag(std::string_view flag) {
  return sentence_of(kFlags, flag);
}

std::string explanation(const store::ExplainedCall& explained,
                        const std::vector<std::string>& nearest_ids) {
  const store::StoredCall& call = explained.call;
  const CallRecord& r = call.record;
  std::string out = "call " + printable(r.id) + " at " + iso8601_utc(r.requested_at_us) + "\n" +
                    printable(r.provider) + " " + printable(r.endpoint) + " on " +
                    printable(r.host) + ", project " + printable(call.project);
  if (r.http_status) out += ", status " + std::to_string(*r.http_status);
  if (!r.error_kind.empty()) out += " (" + printable(r.error_kind) + ")";
  if (!r.provider_request_id.empty()) out += ", request id " + printable(r.provider_request_id);
  out += "\n" + tokens_text(r) + "\n" + price_text(call, call.price);
  if (call.price.reason == "unknown_model" && !nearest_ids.empty()) {
    out += "nearest known ids, as a hint only: ";
    for (size_t i = 0; i < nearest_ids.size(); ++i)
      out += (i == 0 ? "" : ", ") + printable(nearest_ids[i]);
    out += "\n";
  }
  for (auto past = explained.past.rbegin(); past != explained.past.rend(); ++past)
    out += "\nbefore it was priced again at " + iso8601_utc(past->replaced_at_us) + ":\n" +
           price_text(call, past->price);
  return out;
}

std::string explanation_json(const store::ExplainedCall& explained,
                             const std::vector<std::string>& nearest_ids) {
  const store::StoredCall& call = explained.call;
  const CallRecord& r = call.record;
  JsonText json;
  json.begin_object()
      .member("id", r.id)
      .member("requested_at", iso8601_utc(r.requested_at_us))
      .member("project", call.project)
      .member("provider", r.provider)
      .member("host", r.host)
      .member("endpoint", r.endpoint)
      .member("model", r.model)
      .member("requested_model", r.requested_model)
      .member("provider_request_id", r.provider_request_id)
      .member("billing", r.billing)
      .member("http_status", r.http_status)
      .member("input_tokens", r.usage.input_tokens)
      .member("cache_read_tokens", r.usage.cache_read_tokens)
      .member("cache_write_5m_tokens", r.usage.cache_write_5m_tokens)
      .member("cache_write_1h_tokens", r.usage.cache_write_1h_tokens)
      .member("output_tokens", r.usage.output_tokens)
      .member("thinking_tokens", r.usage.thinking_tokens)
      .member("tokens_complete", r.tokens_complete)
      .member("incomplete_reason", r.incomplete_reason);
  money(json, "provider_cost", r.provider_cost_pico_usd);
  price_members(json, call.price);
  json.key("nearest_known_ids").begin_array();
  for (const std::string& id : nearest_ids) json.value(id);
  json.end_array().key("history").begin_array();
  for (const store::PastPrice& past : explained.past) {
    json.begin_object().member("replaced_at", iso8601_utc(past.replaced_at_us));
    price_members(json, past.price);
    json.end_object();
  }
  return json.end_array().end_object().take();
}

}  // namespace hm::cli
