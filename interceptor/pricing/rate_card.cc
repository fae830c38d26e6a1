#include "interceptor/pricing/rate_card.h"

#include <rapidjson/document.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

#include "common/base/fnv.h"
#include "interceptor/pricing/bundled_rates.h"
#include "interceptor/pricing/decimal_text.h"
#include "interceptor/pricing/id_pattern.h"

namespace hm::pricing {
namespace {

using rapidjson::Value;

constexpr size_t kMaxCardBytes = 8 * 1024 * 1024;
constexpr int kRateDecimals = 6;     // USD per million tokens -> pico-USD per token
constexpr int kPerCallDecimals = 9;  // USD per 1,000 calls -> pico-USD per call

std::string text_of(const Value& value) {
  return {value.GetString(), value.GetStringLength()};
}

// A floating point number anywhere, or nesting that no card has (which the stack is spared).
bool has_float(const Value& value, int depth = 0) {
  if (value.IsDouble() || depth > 16) return true;
  if (value.IsObject())
    return std::any_of(value.MemberBegin(), value.MemberEnd(),
                       [depth](const auto& member) { return has_float(member.value, depth + 1); });
  if (value.IsArray())
    return std::any_of(value.Begin(), value.End(),
                       [depth](const Value& item) { return has_float(item, depth + 1); });
  return false;
}

std::string content_hash(std::string_view json, std::string_view seed) {
  const uint64_t hash = fnv1a_64(json, fnv1a_64(seed));
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  return hex;
}

}  // namespace

// Reads one document into a card, checking everything on the way; stops at the first fault.
class CardReader {
 public:
  CardReader(RateCard& card, const RateCard* below, bool tested)
      : card_(card), below_(below), tested_(tested) {}

  // By what it was read from.
  void name(std::string_view json) {
    card_.id_ = content_hash(json, below_ == nullptr ? std::string() : below_->id_);
  }

  bool read(const Value& root) {
    if (!is_object(root, "card")) return false;
    if (has_float(root)) return fault("card", "has a floating point number; rates are strings");
    return below_ == nullptr ? read_card(root) : read_overrides(root);
  }
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  bool fault(const std::string& where, const std::string& what) {
    if (why_.empty()) why_ = where + ": " + what;
    return false;
  }
  bool is_object(const Value& value, const std::string& where) {
    return value.IsObject() || fault(where, "is not an object");
  }
  bool known_fields(const Value& object, const std::string& where,
                    std::initializer_list<std::string_view> names) {
    for (auto member = object.MemberBegin(); member != object.MemberEnd(); ++member)
      if (std::find(names.begin(), names.end(), text_of(member->name)) == names.end())
        return fault(where, "has an unknown field \"" + text_of(member->name) + "\"");
    return true;
  }
  bool string_field(const Value& object, const char* name, const std::string& where,
                    std::string& out, bool required) {
    const auto found = object.FindMember(name);
    if (found == object.MemberEnd())
      return !required || fault(where, std::string("has no ") + name);
    if (!found->value.IsString()) return fault(where, std::string(name) + " is not a string");
    out = text_of(found->value);
    return !required || !out.empty() || fault(where, std::string(name) + " is empty");
  }
  bool day_field(const Value& object, const char* name, const std::string& where,
                 std::optional<Day>& out) {
    const auto found = object.FindMember(name);
    if (found == object.MemberEnd() || found->value.IsNull()) return true;
    if (found->value.IsString()) out = parse_day(text_of(found->value));
    return out.has_value() || fault(where, std::string(name) + " is not a day like 2026-11-15");
  }
  bool bool_field(const Value& object, const char* name, const std::string& where, bool& out) {
    const auto found = object.FindMember(name);
    if (found == object.MemberEnd()) return true;
    if (!found->value.IsBool()) return fault(where, std::string(name) + " is not true or false");
    out = found->value.GetBool();
    return true;
  }

  bool texts_field(const Value& object, const char* name, const std::string& where,
                   std::vector<std::string>& out) {
    const auto found = object.FindMember(name);
    if (found == object.MemberEnd()) return true;
    if (!found->value.IsArray()) return fault(where, std::string(name) + " is not a list");
    for (const Value& text : found->value.GetArray()) {
      if (!text.IsString()) return fault(where, std::string(name) + " is not a list of strings");
      out.push_back(text_of(text));
    }
    return true;
  }

  bool read_card(const Value& root) {
    std::string format;
    if (!known_fields(root, "card",
                      {"format", "format_version", "card_date", "evidence_until", "currency",
                       "units", "providers", "models"}) ||
        !string_field(root, "format", "card", format, true) ||
        !string_field(root, "card_date", "card", card_.card_date_, true) ||
        !string_field(root, "evidence_until", "card", card_.evidence_until_, false))
      return false;
    const auto version = root.FindMember("format_version");
    if (format != "halton-meter-rates" || version == root.MemberEnd() || !version->value.IsInt() ||
        version->value.GetInt() != 1)
      return fault("card", "is not a rate card of format version 1");
    if (!parse_day(card_.card_date_)) return fault("card", "card_date is not a day");
    if (!root.HasMember("models")) return fault("card", "has no models");
    if (!read_common(root)) return false;
    return index();
  }

  bool read_overrides(const Value& root) {
    card_.overrides_ = true;
    if (!known_fields(root, "overrides",
                      {"models", "providers", "aliases", "discounts", "free_tier"}) ||
        !read_common(root) || !read_free_keys(root))
      return false;
    card_.entries_.insert(card_.entries_.end(), below_->entries_.begin(), below_->entries_.end());
    card_.card_date_ = below_->card_date_;
    card_.evidence_until_ = below_->evidence_until_;
    for (const auto& [provider, calls] : below_->per_calls_)
      card_.per_calls_[provider].insert(calls.begin(), calls.end());
    card_.discounts_.insert(below_->discounts_.begin(), below_->discounts_.end());
    return index() && read_aliases(root);
  }

  bool read_common(const Value& root) {
    if (const auto models = root.FindMember("models"); models != root.MemberEnd()) {
      if (!models->value.IsArray()) return fault("models", "is not a list");
      for (const Value& model : models->value.GetArray())
        if (!read_model(model)) return false;
    }
    if (const auto providers = root.FindMember("providers"); providers != root.MemberEnd()) {
      if (!is_object(providers->value, "providers")) return false;
      for (const auto& provider : providers->value.GetObject())
        if (!read_provider(text_of(provider.name), provider.value)) return false;
    }
    if (const auto discounts = root.FindMember("discounts"); discounts != root.MemberEnd()) {
      if (!is_object(discounts->value, "discounts")) return false;
      for (const auto& discount : discounts->value.GetObject()) {
        const std::string provider = text_of(discount.name);
        const auto factor =
            discount.value.IsString() ? rational(text_of(discount.value)) : std::nullopt;
        if (!factor) return fault("discounts." + provider, "is not a fraction like \"9/10\"");
        card_.discounts_.insert_or_assign(provider, *factor);
      }
    }
    return true;
  }

  bool read_free_keys(const Value& root) {
    const auto part = root.FindMember("free_tier");
    if (part == root.MemberEnd()) return true;
    if (!is_object(part->value, "free_tier") || !known_fields(part->value, "free_tier", {"keys"}))
      return false;
    const auto keys = part->value.FindMember("keys");
    if (keys == part->value.MemberEnd()) return true;
    if (!keys->value.IsArray()) return fault("free_tier", "keys is not a list");
    for (const Value& key : keys->value.GetArray()) {
      const std::string print = key.IsString() ? text_of(key) : "";
      const bool hex =
          print.size() == 16 && print.find_first_not_of("0123456789abcdef") == std::string::npos;
      // The complaint does not repeat it: it may be the key itself.
      if (!hex)
        return fault("free_tier",
                     "keys has something that is not a print of 16 hex digits, as "
                     "`halton-meter pricing key` tells it");
      card_.free_keys_.insert(print);
    }
    return true;
  }

  bool read_provider(const std::string& name, const Value& provider) {
    const std::string where = "providers." + name;
    if (!is_object(provider, where) || !known_fields(provider, where, {"per_call"})) return false;
    const auto calls = provider.FindMember("per_call");
    if (calls == provider.MemberEnd()) return true;
    if (!is_object(calls->value, where + ".per_call")) return false;
    for (const auto& call : calls->value.GetObject()) {
      const auto rate =
          call.value.IsString() ? scaled(text_of(call.value), kPerCallDecimals) : std::nullopt;
      if (!rate)
        return fault(where + "." + text_of(call.name), "is not a decimal string, 0 or more");
      card_.per_calls_[name].insert_or_assign(text_of(call.name),
                                              RateCard::PerCall{*rate, below_ != nullptr});
    }
    return true;
  }

  bool read_model(const Value& value) {
    ModelEntry entry;
    bool enabled = true;
    if (!is_object(value, "models") ||
        !string_field(value, "provider", "a model", entry.provider, true) ||
        !string_field(value, "model", "a model of " + entry.provider, entry.model, true))
      return false;
    const std::string where = entry.provider + " " + entry.model;
    entry.kind = "chat";
    entry.status = "active";
    entry.from_override = below_ != nullptr;
    if (!known_fields(value, where,
                      {"provider", "model", "kind", "status", "ids", "pattern", "enabled",
                       "periods", "geo", "sources", "agree", "confidence", "disagree", "notes"}) ||
        !string_field(value, "kind", where, entry.kind, false) ||
        !string_field(value, "status", where, entry.status, false) ||
        !string_field(value, "pattern", where, entry.pattern, false) ||
        !string_field(value, "notes", where, entry.notes, false) ||
        !string_field(value, "confidence", where, entry.confidence, false) ||
        !texts_field(value, "sources", where, entry.sources) ||
        !texts_field(value, "disagree", where, entry.disagree) ||
        !bool_field(value, "agree", where, entry.agree) ||
        !bool_field(value, "enabled", where, enabled) || !read_ids(value, where, entry) ||
        !read_geo(value, where, entry) || !read_periods(value, where, entry))
      return false;
    if (enabled) card_.entries_.push_back(std::move(entry));
    return true;
  }

  bool read_ids(const Value& value, const std::string& where, ModelEntry& entry) {
    if (const auto ids = value.FindMember("ids"); ids != value.MemberEnd()) {
      if (!ids->value.IsArray()) return fault(where, "ids is not a list");
      for (const Value& id : ids->value.GetArray()) {
        if (!id.IsString() || id.GetStringLength() == 0 || id.GetStringLength() > IdPattern::kMaxId)
          return fault(where, "has an id that is not a short string");
        entry.ids.push_back(text_of(id));
      }
    } else if (below_ != nullptr) {
      // New rates for a model of the card apply to all its ids.
      for (const ModelEntry& known : below_->entries_) {
        if (known.provider != entry.provider || known.model != entry.model) continue;
        entry.ids = known.ids;
        if (entry.pattern.empty()) entry.pattern = known.pattern;
        break;
      }
    }
    if (std::find(entry.ids.begin(), entry.ids.end(), entry.model) == entry.ids.end())
      entry.ids.insert(entry.ids.begin(), entry.model);
    return true;
  }

  bool read_geo(const Value& value, const std::string& where, ModelEntry& entry) {
    const auto geo = value.FindMember("geo");
    if (geo == value.MemberEnd()) return true;
    if (!is_object(geo->value, where + " geo")) return false;
    for (const auto& place : geo->value.GetObject()) {
      const auto factor = place.value.IsString() ? rational(text_of(place.value)) : std::nullopt;
      if (!factor || factor->numerator == 0)
        return fault(where, "geo " + text_of(place.name) + " is not a multiplier");
      entry.geo.emplace(text_of(place.name), *factor);
    }
    return true;
  }

  bool read_periods(const Value& value, const std::string& where, ModelEntry& entry) {
    const auto periods = value.FindMember("periods");
    if (periods == value.MemberEnd() || !periods->value.IsArray() || periods->value.Empty())
      return fault(where, "has no periods");
    for (const Value& period : periods->value.GetArray()) {
      Period next;
      if (!read_period(period, where, entry, next)) return false;
      if (next.from && next.to && *next.to <= *next.from)
        return fault(where, "has a period that ends before it begins");
      if (!entry.periods.empty()) {
        const Period& last = entry.periods.back();
        if (!last.to || !next.from || *last.to != *next.from)
          return fault(where, "has periods with a gap or an overlap between them");
      }
      entry.periods.push_back(std::move(next));
    }
    return true;
  }

  bool read_period(const Value& value, const std::string& where, const ModelEntry& entry,
                   Period& out) {
    if (!is_object(value, where + " period") ||
        !known_fields(value, where + " period",
                      {"from", "to", "guaranteed_through", "rates", "long_context", "service_tiers",
                       "note"}) ||
        !day_field(value, "from", where, out.from) || !day_field(value, "to", where, out.to) ||
        !day_field(value, "guaranteed_through", where, out.guaranteed_through) ||
        !read_rates(value, "rates", where, entry, out.rates))
      return false;
    if (out.rates.empty()) return fault(where, "has a period without rates");
    if (const auto found = value.FindMember("long_context"); found != value.MemberEnd()) {
      if (!read_long_context(found->value, where + " long_context", entry,
                             out.long_context.emplace()))
        return false;
    }
    const auto tiers = value.FindMember("service_tiers");
    if (tiers == value.MemberEnd()) return true;
    if (!is_object(tiers->value, where + " service_tiers")) return false;
    for (const auto& tier : tiers->value.GetObject()) {
      const std::string here = where + " " + text_of(tier.name);
      ServiceTier& made = out.tiers[text_of(tier.name)];
      if (!is_object(tier.value, here) ||
          !known_fields(tier.value, here, {"rates", "long_rates", "derived"}) ||
          !read_rates(tier.value, "rates", here, entry, made.rates) ||
          !read_rates(tier.value, "long_rates", here, entry, made.long_rates) ||
          !bool_field(tier.value, "derived", here, made.derived))
        return false;
      if (made.rates.empty()) return fault(here, "is a tier without rates");
    }
    return true;
  }

  bool read_long_context(const Value& value, const std::string& where, const ModelEntry& entry,
                         LongContext& out) {
    if (!is_object(value, where) ||
        !known_fields(value, where, {"threshold_tokens", "op", "rates"}))
      return false;
    const auto threshold = value.FindMember("threshold_tokens");
    if (threshold == value.MemberEnd() || !threshold->value.IsInt64() ||
        threshold->value.GetInt64() <= 0)
      return fault(where, "has no threshold_tokens");
    out.threshold_tokens = threshold->value.GetInt64();
    std::string op;
    if (!string_field(value, "op", where, op, true)) return false;
    if (op != "gt" && op != "gte") return fault(where, "op is neither gt nor gte");
    out.at_or_above = op == "gte";
    return read_rates(value, "rates", where, entry, out.rates) &&
           (!out.rates.empty() || fault(where, "has no rates"));
  }

  bool read_rates(const Value& object, const char* name, const std::string& where,
                  const ModelEntry& entry, RateSet& out) {
    const auto found = object.FindMember(name);
    if (found == object.MemberEnd()) return true;
    if (!is_object(found->value, where + " " + name)) return false;
    for (const auto& rate : found->value.GetObject()) {
      const std::string bucket = text_of(rate.name);
      const auto value =
          rate.value.IsString() ? scaled(text_of(rate.value), kRateDecimals) : std::nullopt;
      if (!value)
        return fault(where, bucket + " is not a decimal string of 0 or more with at most " +
                                std::to_string(kRateDecimals) + " decimals");
      // A zero in a card is nearly always a figure that somebody did not have.
      if (*value == 0 && below_ == nullptr && entry.kind != "moderation")
        return fault(where, bucket + " is 0");
      for (const auto& [place, factor] : entry.geo)
        if (*value * factor.numerator % factor.denominator != 0)
          return fault(where, bucket + " times the multiplier of " + place + " is not whole");
      if (!out.rates.emplace(bucket, *value).second)
        return fault(where, bucket + " is given twice");
    }
    return true;
  }

  // Ids and patterns of both layers; then every entry must be found by each of its own ids.
  bool index() {
    for (size_t i = 0; i < card_.entries_.size(); ++i) {
      const ModelEntry& entry = card_.entries_[i];
      RateCard::Index& of_provider =
          card_.layers_[entry.from_override ? 0 : 1].providers[entry.provider];
      for (const std::string& id : entry.ids)
        if (!of_provider.exact.emplace(id, i).second)
          return fault(entry.provider + " " + entry.model, "id " + id + " is claimed twice");
      if (entry.pattern.empty()) continue;
      const bool tested = tested_ || (below_ != nullptr && !entry.from_override);
      auto pattern = tested ? IdPattern::make_later(entry.pattern) : IdPattern::make(entry.pattern);
      if (pattern == nullptr)
        return fault(entry.provider + " " + entry.model,
                     "pattern is not a regular expression ^...$");
      of_provider.patterns.emplace_back(i, std::move(pattern));
    }
    for (const ModelEntry& entry : card_.entries_)
      for (const std::string& id : entry.ids)
        if (card_.find_in(card_.layers_[entry.from_override ? 0 : 1], entry.provider, id) != &entry)
          return fault(entry.provider + " " + entry.model, "id " + id + " is another entry's");
    return true;
  }

  bool read_aliases(const Value& root) {
    const auto aliases = root.FindMember("aliases");
    if (aliases == root.MemberEnd()) return true;
    if (!is_object(aliases->value, "aliases")) return false;
    for (const auto& provider : aliases->value.GetObject()) {
      const std::string name = text_of(provider.name);
      if (!is_object(provider.value, "aliases." + name)) return false;
      for (const auto& alias : provider.value.GetObject()) {
        const std::string where = "aliases." + name + "." + text_of(alias.name);
        if (!alias.value.IsString()) return fault(where, "is not a model id");
        const std::string target = text_of(alias.value);
        const ModelEntry* entry = card_.find_in(card_.layers_[0], name, target);
        if (entry == nullptr) entry = card_.find_in(card_.layers_[1], name, target);
        if (entry == nullptr) return fault(where, "stands for an unknown model " + target);
        const auto position = static_cast<size_t>(entry - card_.entries_.data());
        if (!card_.layers_[0].providers[name].exact.emplace(text_of(alias.name), position).second)
          return fault(where, "is claimed twice");
      }
    }
    return true;
  }

  RateCard& card_;
  const RateCard* below_;  // null when a whole card is read
  const bool tested_;      // it is the bundled card, which the unit tests read
  std::string why_;
};

namespace {

Result<RateCard> read_document(std::string_view json, const RateCard* below, std::string* why,
                               bool tested = false) {
  if (json.size() > kMaxCardBytes) {
    if (why != nullptr) *why = "the file is larger than 8 MiB";
    return fail(Code::too_large, "rate_card.read");
  }
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  if (document.HasParseError()) {
    if (why != nullptr) *why = "not JSON, at byte " + std::to_string(document.GetErrorOffset());
    return fail(Code::malformed, "rate_card.read.json",
                static_cast<int64_t>(document.GetErrorOffset()));
  }
  RateCard card;
  CardReader reader(card, below, tested);
  if (!reader.read(document)) {
    if (why != nullptr) *why = reader.why();
    return fail(Code::malformed, "rate_card.read");
  }
  reader.name(json);
  return card;
}

}  // namespace

Result<RateCard> RateCard::parse(std::string_view json, std::string* why) {
  return read_document(json, nullptr, why);
}

Result<RateCard> RateCard::with_overrides(std::string_view json, std::string* why) const {
  return read_document(json, this, why);
}

const RateCard& RateCard::bundled() {
  static const RateCard card = [] {
    std::string why;
    auto read = read_document(bundled_rates_json(), nullptr, &why, true);
    if (!read) {
      std::fprintf(stderr, "the bundled rate card is broken: %s\n", why.c_str());
      std::abort();
    }
    return std::move(*read);
  }();
  return card;
}

}  // namespace hm::pricing
