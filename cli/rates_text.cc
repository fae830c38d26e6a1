#include "cli/rates_text.h"

#include "cli/text.h"
#include "interceptor/pricing/pico_usd.h"

namespace hm::cli {
namespace {

using pricing::Day;
using pricing::ModelEntry;
using pricing::RateCard;
using pricing::RateSet;

constexpr Day kOldAfterDays = 45;

bool is_old(const RateCard& card, Day today) {
  const auto date = pricing::parse_day(card.card_date());
  return date && today - *date > kOldAfterDays;
}

std::string source_of(const RateCard& card, const ModelEntry& entry) {
  return entry.from_override ? "rates.toml" : card.source_name();
}

std::string rate_or_dash(const pricing::Period* period, std::string_view bucket) {
  const auto rate = period == nullptr ? std::nullopt : period->rates.find(bucket);
  return rate ? per_million(*rate) : "-";
}

std::string rates_line(const RateSet& set) {
  std::string out;
  for (const auto& [bucket, rate] : set.rates)
    out += (out.empty() ? "" : ", ") + printable(bucket) + " " + per_million(rate);
  return out;
}

std::string days_of(const pricing::Period& period) {
  std::string out = period.from ? "from " + pricing::day_text(*period.from) : "from the beginning";
  if (period.to) out += " until before " + pricing::day_text(*period.to);
  if (period.guaranteed_through)
    out += ", guaranteed through " + pricing::day_text(*period.guaranteed_through);
  return out;
}

std::string long_line(const pricing::LongContext& context) {
  return std::string(context.at_or_above ? "at or above " : "above ") +
         thousands(context.threshold_tokens) + " prompt tokens";
}

void rates_member(JsonText& json, std::string_view name, const RateSet& set) {
  json.key(name).begin_object();
  for (const auto& [bucket, rate] : set.rates) json.member(bucket, per_million(rate));
  json.end_object();
}

void day_member(JsonText& json, std::string_view name, const std::optional<Day>& day) {
  json.key(name);
  if (day) {
    json.value(pricing::day_text(*day));
  } else {
    json.null();
  }
}

void name_members(JsonText& json, const RateCard& card, const ModelEntry& entry) {
  json.member("provider", entry.provider)
      .member("model", entry.model)
      .member("kind", entry.kind)
      .member("status", entry.status)
      .member("source", source_of(card, entry))
      .member("sources_agree", entry.agree);
}

}  // namespace

void card_members(JsonText& json, const RateCard& card, Day today) {
  json.member("card_date", card.card_date())
      .member("evidence_until", card.evidence_until())
      .member("card_id", card.id())
      .member("card_is_old", is_old(card, today))
      .member("has_overrides", card.has_overrides());
}

std::string per_million(int64_t pico_usd) {
  std::string digits = std::to_string(pico_usd);
  if (digits.size() < 7) digits.insert(0, 7 - digits.size(), '0');
  digits.insert(digits.size() - 6, ".");
  digits.erase(digits.find_last_not_of('0') + 1);
  if (digits.ends_with('.')) digits.pop_back();
  return digits;
}

std::string per_thousand_calls(int64_t pico_usd) {
  return pricing::PicoUsd(static_cast<pricing::Int128>(pico_usd) * 1000).exact_dollars();
}

std::string card_line(const RateCard& card, Day today) {
  std::string out = "Rate card of " + card.card_date();
  if (!card.evidence_until().empty()) out += ", evidence until " + card.evidence_until();
  if (card.has_overrides()) out += ", with rates.toml in front";
  out += "\n";
  if (is_old(card, today))
    out += "Notice: the card is older than " + std::to_string(kOldAfterDays) +
           " days; prices may have changed since.\n";
  return out;
}

std::string rates_list(const RateCard& card, std::string_view provider, Day today,
                       const TableStyle& style) {
  Table table({{"provider"},
               {"model"},
               {"input", Align::right},
               {"output", Align::right},
               {"cache read", Align::right, 1},
               {"status", Align::left, 2},
               {"source", Align::left, 3}});
  for (const ModelEntry& entry : card.entries()) {
    if (!provider.empty() && entry.provider != provider) continue;
    const pricing::Period* period = entry.period_on(today);
    table.add({printable(entry.provider), printable(entry.model), rate_or_dash(period, "input"),
               rate_or_dash(period, "output"), rate_or_dash(period, "cache_read"),
               printable(entry.status), source_of(card, entry)});
  }
  std::string out = "USD per million tokens, standard tier, " + pricing::day_text(today) + "\n" +
                    table.text(style);
  std::string calls;
  for (const auto& [name, charges] : card.per_calls()) {
    if (!provider.empty() && name != provider) continue;
    for (const auto& [tool, charge] : charges)
      calls += "  " + printable(name) + " " + printable(tool) + " " +
               per_thousand_calls(charge.pico_usd) + "\n";
  }
  return calls.empty() ? out : out + "USD per 1,000 calls of server-side tools\n" + calls;
}

std::string rates_list_json(const RateCard& card, std::string_view provider, Day today) {
  JsonText json;
  json.begin_object();
  card_members(json, card, today);
  json.member("day", pricing::day_text(today)).key("models").begin_array();
  for (const ModelEntry& entry : card.entries()) {
    if (!provider.empty() && entry.provider != provider) continue;
    json.begin_object();
    name_members(json, card, entry);
    const pricing::Period* period = entry.period_on(today);
    rates_member(json, "usd_per_million", period != nullptr ? period->rates : RateSet());
    json.end_object();
  }
  json.end_array().key("usd_per_1000_calls").begin_object();
  for (const auto& [name, charges] : card.per_calls()) {
    if (!provider.empty() && name != provider) continue;
    json.key(name).begin_object();
    for (const auto& [tool, charge] : charges)
      json.member(tool, per_thousand_calls(charge.pico_usd));
    json.end_object();
  }
  json.end_object().end_object();
  return json.take();
}

std::string changes_to_confirm(const RateCard& known, const RateCard& fresh, Day today) {
  constexpr int64_t kTimes = 4;
  std::string out;
  for (const ModelEntry& before : known.entries()) {
    const std::string name = printable(before.provider) + " " + printable(before.model);
    const ModelEntry* after = fresh.find(before.provider, before.model, today);
    if (after == nullptr) {
      out += name + ": is gone\n";
      continue;
    }
    const pricing::Period* old_period = before.period_on(today);
    const pricing::Period* new_period = after->period_on(today);
    if (old_period == nullptr || new_period == nullptr) continue;
    for (const auto& [bucket, rate] : old_period->rates.rates) {
      const auto now = new_period->rates.find(bucket);
      if (now && *now <= rate * kTimes && rate <= *now * kTimes) continue;
      out += name + " " + printable(bucket) + ": " + per_million(rate) + " before, " +
             (now ? per_million(*now) : "none") + " now\n";
    }
  }
  return out;
}

std::string entry_text(const ModelEntry& entry, Day today) {
  std::string out = printable(entry.provider) + " " + printable(entry.model) + " (" +
                    printable(entry.kind) + ", " + printable(entry.status) + ")\n";
  out += entry.from_override ? "source: rates.toml\n"
         : entry.agree       ? "source: rate card; two independent sources agree\n"
                             : "source: rate card; not confirmed by a second source\n";
  const auto joined = [&out](const char* title, const std::vector<std::string>& texts) {
    for (size_t i = 0; i < texts.size(); ++i) out += (i == 0 ? title : "; ") + printable(texts[i]);
    if (!texts.empty()) out += "\n";
  };
  joined("read in: ", entry.sources);
  joined("others say: ", entry.disagree);
  if (!entry.confidence.empty()) out += "confidence: " + printable(entry.confidence) + "\n";
  if (!entry.notes.empty()) out += "notes: " + printable(entry.notes) + "\n";
  for (const auto& [place, factor] : entry.geo)
    out += "multiplier for " + printable(place) + ": " + std::to_string(factor.numerator) + "/" +
           std::to_string(factor.denominator) + "\n";
  out += "USD per million tokens:\n";
  for (const pricing::Period& period : entry.periods) {
    const bool now = entry.period_on(today) == &period;
    out += "  " + days_of(period) + (now ? " (in force)" : "") +
           "\n    standard: " + rates_line(period.rates) + "\n";
    if (period.long_context)
      out += "      " + long_line(*period.long_context) + ": " +
             rates_line(period.long_context->rates) + "\n";
    for (const auto& [name, tier] : period.tiers) {
      out += "    " + printable(name) + ": " + rates_line(tier.rates) +
             (tier.derived ? " (derived)" : "") + "\n";
      if (period.long_context && !tier.long_rates.empty())
        out +=
            "      " + long_line(*period.long_context) + ": " + rates_line(tier.long_rates) + "\n";
    }
  }
  return out;
}

std::string entry_json(const RateCard& card, const ModelEntry& entry, Day today) {
  JsonText json;
  json.begin_object();
  card_members(json, card, today);
  name_members(json, card, entry);
  const auto texts = [&json](const char* name, const std::vector<std::string>& list) {
    json.key(name).begin_array();
    for (const std::string& text : list) json.value(text);
    json.end_array();
  };
  texts("sources", entry.sources);
  texts("disagree", entry.disagree);
  json.member("confidence", entry.confidence);
  json.member("notes", entry.notes).key("ids").begin_array();
  for (const std::string& id : entry.ids) json.value(id);
  json.end_array().key("geo").begin_object();
  for (const auto& [place, factor] : entry.geo)
    json.member(place, std::to_string(factor.numerator) + "/" + std::to_string(factor.denominator));
  json.end_object().key("periods").begin_array();
  for (const pricing::Period& period : entry.periods) {
    json.begin_object();
    json.member("in_force", entry.period_on(today) == &period);
    day_member(json, "from", period.from);
    day_member(json, "to", period.to);
    day_member(json, "guaranteed_through", period.guaranteed_through);
    rates_member(json, "usd_per_million", period.rates);
    json.key("long_context");
    if (period.long_context) {
      json.begin_object()
          .member("threshold_tokens", period.long_context->threshold_tokens)
          .member("at_or_above", period.long_context->at_or_above);
      rates_member(json, "usd_per_million", period.long_context->rates);
      json.end_object();
    } else {
      json.null();
    }
    json.key("service_tiers").begin_object();
    for (const auto& [name, tier] : period.tiers) {
      json.key(name).begin_object().member("derived", tier.derived);
      rates_member(json, "usd_per_million", tier.rates);
      rates_member(json, "long_usd_per_million", tier.long_rates);
      json.end_object();
    }
    json.end_object().end_object();
  }
  json.end_array().end_object();
  return json.take();
}

}  // namespace hm::cli
