// The bundled card against the price table that it was written from, figure by figure. Reads the
// table by itself: neither the script that wrote the card nor the card's own reader is trusted.
#include <rapidjson/document.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>

#include "interceptor/pricing/price.h"
#include "tests/unit/pricing/records.h"

using namespace hm;
using namespace hm::pricing;

namespace {

rapidjson::Document price_table() {
  std::ifstream file(std::string(HM_SOURCE_DIR) + "/tests/prices/prices-2026-11-23.json");
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  rapidjson::Document table;
  table.Parse(text.str().c_str());
  REQUIRE_FALSE(table.HasParseError());
  return table;
}

std::string our_provider(const std::string& name) {
  return name == "google" ? "gemini" : name;
}

// "0.0375" to 37'500, by shifting the point in the text.
int64_t shifted(std::string text, size_t places) {
  const size_t point = text.find('.');
  std::string fraction = point == std::string::npos ? "" : text.substr(point + 1);
  text.erase(std::min(point, text.size()));
  REQUIRE(fraction.size() <= places);
  fraction.append(places - fraction.size(), '0');
  return std::stoll(text + fraction);
}

using Rates = std::map<std::string, int64_t>;

Rates rates_in(const rapidjson::Value& object, const char* name) {
  Rates rates;
  if (!object.HasMember(name)) return rates;
  for (const auto& rate : object[name].GetObject())
    rates[rate.name.GetString()] = shifted(rate.value.GetString(), 6);
  return rates;
}

Rates rates_of(const RateSet& set) {
  return {set.rates.begin(), set.rates.end()};
}

std::optional<Day> day_in(const rapidjson::Value& object, const char* name) {
  return object[name].IsNull() ? std::nullopt : parse_day(object[name].GetString());
}

const ModelEntry* entry_of(const std::string& provider, const std::string& model) {
  for (const ModelEntry& entry : RateCard::bundled().entries())
    if (entry.provider == provider && entry.model == model) return &entry;
  return nullptr;
}

}  // namespace

TEST_CASE("every model of the price table is in the card with exactly its figures") {
  const auto table = price_table();
  size_t enabled = 0, figures = 0;
  for (const auto& model : table["models"].GetArray()) {
    const std::string provider = our_provider(model["provider"].GetString());
    const std::string name = model["model"].GetString();
    INFO(provider << " " << name);
    const ModelEntry* entry = entry_of(provider, name);
    if (model.HasMember("enabled") && !model["enabled"].GetBool()) {
      CHECK(entry == nullptr);
      continue;
    }
    ++enabled;
    REQUIRE(entry != nullptr);
    CHECK(entry->kind == model["kind"].GetString());
    CHECK(entry->status == model["status"].GetString());
    CHECK(entry->agree == model["agree"].GetBool());
    std::set<std::string> ids;
    for (const auto& id : model["match"]["exact"].GetArray()) {
      ids.insert(id.GetString());
      CHECK(RateCard::bundled().find(provider, id.GetString(), *parse_day("2026-11-23")) == entry);
    }
    ids.insert(name);
    CHECK(std::set<std::string>(entry->ids.begin(), entry->ids.end()) == ids);
    CHECK(entry->pattern ==
          (model["match"].HasMember("pattern") ? model["match"]["pattern"].GetString() : ""));

    std::map<std::string, std::string> geo, our_geo;
    if (model.HasMember("geo"))
      for (const auto& place : model["geo"].GetObject())
        geo[place.name.GetString()] = place.value["multiplier"].GetString();
    for (const auto& [place, factor] : entry->geo) our_geo[place] = text_of(factor);
    CHECK(our_geo == geo);

    const auto periods = model["periods"].GetArray();
    REQUIRE(entry->periods.size() == periods.Size());
    for (rapidjson::SizeType i = 0; i < periods.Size(); ++i) {
      const auto& theirs = periods[i];
      const Period& ours = entry->periods[i];
      CHECK(ours.from == day_in(theirs, "from"));
      CHECK(ours.to == day_in(theirs, "to"));
      const Rates rates = rates_in(theirs, "rates");
      figures += rates.size();
      CHECK(rates_of(ours.rates) == rates);
      REQUIRE(ours.long_context.has_value() == theirs.HasMember("long_context"));
      if (ours.long_context) {
        const auto& context = theirs["long_context"];
        CHECK(ours.long_context->threshold_tokens == context["threshold_tokens"].GetInt64());
        CHECK(ours.long_context->at_or_above == (std::string(context["op"].GetString()) == "gte"));
        CHECK(rates_of(ours.long_context->rates) == rates_in(context, "rates"));
      }
      size_t tiers = 0;
      if (theirs.HasMember("service_tiers")) {
        for (const auto& tier : theirs["service_tiers"].GetObject()) {
          ++tiers;
          INFO(tier.name.GetString());
          const auto found = ours.tiers.find(tier.name.GetString());
          REQUIRE(found != ours.tiers.end());
          CHECK(rates_of(found->second.rates) == rates_in(tier.value, "rates"));
          CHECK(rates_of(found->second.long_rates) == rates_in(tier.value, "long_rates"));
        }
      }
      CHECK(ours.tiers.size() == tiers);
    }
  }
  CHECK(RateCard::bundled().entries().size() == enabled);
  CHECK(enabled > 190);
  CHECK(figures > 700);
}

TEST_CASE("charges per call are those of the price table") {
  const auto table = price_table();
  std::map<std::pair<std::string, std::string>, int64_t> theirs, ours;
  for (const auto& provider : table["providers"].GetObject())
    if (provider.value.HasMember("per_call"))
      for (const auto& charge : provider.value["per_call"].GetObject())
        theirs[{our_provider(provider.name.GetString()), charge.name.GetString()}] =
            shifted(charge.value["usd_per_1000"].GetString(), 9);
  theirs[{"xai", "mcp"}] = 0;  // said in the prose only: remote MCP calls are free
  for (const auto& [provider, charges] : RateCard::bundled().per_calls())
    for (const auto& [name, charge] : charges) ours[{provider, name}] = charge.pico_usd;
  CHECK(ours == theirs);
}

// Every model, on each of its days, at each of its tiers, on both sides of its threshold: the price
// of one call is the sum of tokens by the table's own figures.
TEST_CASE("each figure of the table is what a call costs") {
  const auto table = price_table();
  const std::map<std::string, std::string> tier_words = {{"openai fast", "priority"}};
  size_t calls = 0;
  for (const auto& model : table["models"].GetArray()) {
    if (model.HasMember("enabled") && !model["enabled"].GetBool()) continue;
    const std::string provider = our_provider(model["provider"].GetString());
    for (const auto& period : model["periods"].GetArray()) {
      const auto from = day_in(period, "from");
      const auto to = day_in(period, "to");
      const Day day = from ? *from : to ? *to - 1 : *parse_day("2026-11-15");
      const auto check = [&](const Rates& rates, const std::string& tier, int64_t prompt) {
        if (!rates.contains("input") || !rates.contains("output") || rates.contains("output_image"))
          return;
        CallRecord r = call(provider, model["model"].GetString(), day_text(day));
        r.service_tier = tier;
        r.usage.cache_read_tokens = rates.contains("cache_read") ? 7 : 0;
        r.usage.input_tokens = prompt - r.usage.cache_read_tokens;
        r.usage.output_tokens = 11;
        const PriceResult result = price(RateCard::bundled(), r);
        INFO(provider << " " << r.model << " " << tier << " " << prompt << " " << result.reason);
        REQUIRE(result.state == PriceState::priced);
        int64_t expected = r.usage.input_tokens * rates.at("input") + 11 * rates.at("output");
        if (rates.contains("cache_read")) expected += 7 * rates.at("cache_read");
        CHECK(result.pico_usd == expected);
        ++calls;
      };
      const Rates standard = rates_in(period, "rates");
      int64_t last_short = 0;
      if (period.HasMember("long_context")) {
        const auto& context = period["long_context"];
        const bool at = std::string(context["op"].GetString()) == "gte";
        last_short = context["threshold_tokens"].GetInt64() - (at ? 1 : 0);
        check(rates_in(context, "rates"), "", last_short + 1);
        check(standard, "", last_short);
      }
      check(standard, "", 100);
      if (!period.HasMember("service_tiers")) continue;
      for (const auto& tier : period["service_tiers"].GetObject()) {
        const auto word = tier_words.find(provider + " " + tier.name.GetString());
        const std::string told = word == tier_words.end() ? tier.name.GetString() : word->second;
        check(rates_in(tier.value, "rates"), told, 100);
        if (last_short == 0) continue;
        check(rates_in(tier.value, "rates"), told, last_short);
        if (tier.value.HasMember("long_rates"))
          check(rates_in(tier.value, "long_rates"), told, last_short + 1);
      }
    }
  }
  CHECK(calls > 300);
}
