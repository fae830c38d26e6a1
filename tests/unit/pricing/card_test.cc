#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "interceptor/pricing/bundled_rates.h"
#include "interceptor/pricing/id_pattern.h"
#include "interceptor/pricing/rate_card.h"

using namespace hm;
using namespace hm::pricing;

namespace {

const Day kToday = *parse_day("2026-11-15");

const ModelEntry* find(const char* provider, const std::string& id) {
  return RateCard::bundled().find(provider, id, kToday);
}

std::string found(const char* provider, const std::string& id) {
  const ModelEntry* entry = find(provider, id);
  return entry != nullptr ? entry->model : "";
}

std::string one_model(const std::string& periods, const std::string& more = "") {
  return R"({"format": "halton-meter-rates", "format_version": 1, "card_date": "2026-11-23",
             "models": [{"provider": "p", "model": "m")" +
         more + R"(, "periods": [)" + periods + "]}]}";
}

std::string why_not(const std::string& card) {
  std::string why;
  const auto result = RateCard::parse(card, &why);
  CHECK_FALSE(result);
  return why;
}

}  // namespace

TEST_CASE("every id of the bundled card resolves to its own entry") {
  const RateCard& card = RateCard::bundled();
  CHECK(card.entries().size() == 195);  // 196, one of them disabled
  size_t ids = 0;
  std::set<std::string> providers;
  for (const ModelEntry& entry : card.entries()) {
    providers.insert(entry.provider);
    for (const std::string& id : entry.ids) {
      INFO(entry.provider << " " << id);
      CHECK(card.find(entry.provider, id, kToday) == &entry);
      ++ids;
    }
  }
  CHECK(ids > 250);
  CHECK(providers == std::set<std::string>{"anthropic", "gemini", "openai", "xai"});
  CHECK(card.card_date() == "2026-11-23");
  CHECK(card.evidence_until() == "2026-11-10");
  CHECK(card.id().size() == 16);
  CHECK_FALSE(card.has_overrides());
}

TEST_CASE("every pattern of the bundled card is one: nobody tests them when it is read") {
  for (const ModelEntry& entry : RateCard::bundled().entries()) {
    INFO(entry.provider << " " << entry.model);
    if (!entry.pattern.empty()) CHECK(IdPattern::make(entry.pattern) != nullptr);
  }
}

TEST_CASE("no id of one entry is matched by the pattern of two") {
  const RateCard& card = RateCard::bundled();
  for (const ModelEntry& entry : card.entries()) {
    for (const std::string& id : entry.ids) {
      int claims = 0;
      for (const ModelEntry& other : card.entries())
        if (other.provider == entry.provider && !other.pattern.empty() &&
            IdPattern::make(other.pattern)->matches(id))
          ++claims;
      INFO(id);
      CHECK(claims <= 1);
    }
  }
}

TEST_CASE("structure of the bundled card") {
  int rates = 0, below_nano = 0, long_contexts = 0, at_or_above = 0;
  const auto count = [&](const RateSet& set) {
    for (const auto& [bucket, rate] : set.rates) {
      ++rates;
      CHECK(rate >= 0);
      if (rate % 1000 != 0 && !bucket.starts_with("per_")) ++below_nano;
    }
  };
  for (const ModelEntry& entry : RateCard::bundled().entries()) {
    INFO(entry.model);
    CHECK_FALSE(entry.periods.back().to);
    for (const Period& period : entry.periods) {
      count(period.rates);
      if (period.long_context) {
        ++long_contexts;
        if (period.long_context->at_or_above) ++at_or_above;
        CHECK((entry.provider == "xai") == period.long_context->at_or_above);
        count(period.long_context->rates);
      }
      for (const auto& [name, tier] : period.tiers) {
        count(tier.rates);
        count(tier.long_rates);
        if (!period.long_context) CHECK(tier.long_rates.empty());
      }
      // A cache read never costs more than fresh input, a long context never less than a short one.
      if (period.rates.find("input") && period.rates.find("cache_read"))
        CHECK(*period.rates.find("cache_read") <= *period.rates.find("input"));
      if (period.long_context)
        for (const auto& [bucket, rate] : period.long_context->rates.rates)
          if (period.rates.find(bucket)) CHECK(rate >= *period.rates.find(bucket));
    }
  }
  CHECK(rates == 1980);  // all that the table gives but those of the disabled entry
  CHECK(below_nano == 31);
  CHECK(long_contexts == 41);
  CHECK(at_or_above == 14);
}

TEST_CASE("known ids and their snapshots") {
  CHECK(found("anthropic", "claude-sonnet-4-5-20250929") == "claude-sonnet-4-5");
  CHECK(found("anthropic", "claude-sonnet-5[1m]") == "claude-sonnet-5");
  CHECK(found("anthropic", "claude-sonnet-5-20260801[1m]") == "claude-sonnet-5");
  CHECK(found("anthropic", "claude-opus-4-20250514[1m]") == "claude-opus-4-0");
  CHECK(found("anthropic", "claude-sonnet-5-5") == "claude-sonnet-5-5");
  CHECK(found("openai", "gpt-4o-2024-08-06") == "gpt-4o");
  CHECK(found("openai", "gpt-4o-2024-05-13") == "gpt-4o-2024-05-13");
  CHECK(found("openai", "gpt-5.6") == "gpt-5.6-sol");
  CHECK(found("openai", "gpt-6.1-sol-2026-10-01") == "gpt-6.1-sol");
  CHECK(found("openai", "ft:gpt-4o-2024-08-06:acme::abc") == "ft:gpt-4o-2024-08-06");
  CHECK(found("gemini", "models/gemini-2.5-flash") == "gemini-2.5-flash");
  CHECK(found("gemini", "gemini-2.5-flash-001") == "gemini-2.5-flash");
  CHECK(found("gemini", "gemini-2.5-pro-preview-05-06") == "gemini-2.5-pro");
  CHECK(found("xai", "grok-4.3-latest") == "grok-4.3");
}

TEST_CASE("near misses stay unknown") {
  const std::pair<const char*, const char*> unknown[] = {
      {"anthropic", "claude-sonnet-5-6"},
      {"anthropic", "claude-sonnet-5-1"},
      {"anthropic", "claude-sonnet"},
      {"anthropic", "claude-sonnet-5-2026"},
      {"anthropic", "claude-sonnet-5-202608011"},
      {"anthropic", "claude-opus-5-5-fast"},
      {"anthropic", "Claude-Sonnet-5"},
      {"anthropic", "claude-mythos-preview"},
      {"anthropic", "gpt-5"},
      {"openai", "gpt-5.7"},
      {"openai", "gpt-5-20250807"},
      {"openai", "gpt-4o-2024-08"},
      {"openai", "gpt-5.5x"},
      {"openai", "xgpt-5.5"},
      {"openai", "gpt-5x5"},
      {"openai", "ft:gpt-4o:acme"},
      {"openai", "codex-auto-review"},
      {"openai", "gpt-5.4-cyber"},
      {"openai", "gpt-daybreak-blue-latest"},
      {"openai", "claude-sonnet-5"},
      {"gemini", "gemini-flash-latest"},
      {"gemini", "gemini-pro-latest"},
      {"gemini", "gemini-4-argon"},
      {"gemini", "gemini-2.5-flash-0012"},
      {"gemini", "gemini-2x5-flash"},
      {"xai", "grok-latest"},
      {"xai", "grok-4.7-build-fast"},
      {"xai", "grok-4.33"},
      {"xai", "models/grok-4.3"},
      {"google", "gemini-2.5-flash"},
      {"mistral", "mistral-large"},
      {"openai", ""},
  };
  for (const auto& [provider, id] : unknown) {
    INFO(provider << " " << id);
    CHECK(find(provider, id) == nullptr);
  }
  CHECK(find("openai", std::string(5000, 'a')) == nullptr);
  CHECK(find("openai", "ft:gpt-3.5-turbo:" + std::string(5000, 'a')) == nullptr);
}

TEST_CASE("hints are near and are hints only") {
  const auto near = RateCard::bundled().closest("anthropic", "claude-sonnet-5-6");
  CHECK(near.size() == 3);
  CHECK(std::count(near.begin(), near.end(), "claude-sonnet-5-5") == 1);
  CHECK(RateCard::bundled().closest("mistral", "x").empty());
}

TEST_CASE("periods by UTC day") {
  const ModelEntry* flash = find("gemini", "gemini-3.8-flash");
  REQUIRE(flash != nullptr);
  const auto input_on = [&](const char* day) {
    return *flash->period_on(*parse_day(day))->rates.find("input");
  };
  CHECK(input_on("2026-12-31") == 750'000);
  CHECK(input_on("2027-01-01") == 1'500'000);
  CHECK(input_on("2020-01-01") == 750'000);  // before the first: the first
  CHECK(day_of(1'800'000'000'000'000) == 20833);
  CHECK(day_of(-1) == -1);
  CHECK(day_text(20833) == "2027-01-15");
  CHECK(parse_day("2026-02-29") == std::nullopt);
  CHECK(parse_day("2026-2-9") == std::nullopt);
  CHECK(parse_day("2024-02-29") == parse_day("2024-02-28").value() + 1);
}

TEST_CASE("fallbacks of missing buckets") {
  RateSet set;
  set.rates = {{"input", 100}, {"cache_read", 10}};
  CHECK(set.find_or_fallback("cache_write_1h") == 100);
  CHECK(set.find_or_fallback("cache_read_audio") == 10);
  CHECK(set.find_or_fallback("cache_write_12h") == 100);
  CHECK(set.find_or_fallback("input_video") == 100);
  CHECK(set.find_or_fallback("output") == std::nullopt);
  CHECK(set.find_or_fallback("output_audio") == std::nullopt);
  set.rates["cache_write_5m"] = 125;
  CHECK(set.find_or_fallback("cache_write_1h") == 125);
  CHECK(set.find_or_fallback("something") == std::nullopt);
}

TEST_CASE("a card with a fault is refused whole") {
  const std::string good = R"({"from": null, "to": null, "rates": {"input": "1"}})";
  CHECK(RateCard::parse(one_model(good)));
  CHECK(why_not("") != "");
  CHECK(why_not("[]") != "");
  CHECK(why_not(one_model("")) == "p m: has no periods");
  CHECK(why_not(one_model(R"({"rates": {"input": 0.5}})")).find("floating") != std::string::npos);
  CHECK(why_not(one_model(R"({"rates": {"input": 5}})")).find("decimal") != std::string::npos);
  CHECK(why_not(one_model(R"({"rates": {"input": "-1"}})")).find("decimal") != std::string::npos);
  CHECK(why_not(one_model(R"({"rates": {"input": "1e3"}})")).find("decimal") != std::string::npos);
  CHECK(why_not(one_model(R"({"rates": {"input": "0.0000001"}})")) != "");
  CHECK(why_not(one_model(R"({"rates": {"input": "0"}})")) == "p m: input is 0");
  CHECK(why_not(one_model(R"({"rates": {"input": "99999999999999999"}})")) != "");
  CHECK(why_not(one_model(R"({"rates": {}})")).find("without rates") != std::string::npos);
  CHECK(why_not(one_model(R"({"rates": {"input": "1"}, "surprise": "1"})")) ==
        "p m period: has an unknown field \"surprise\"");
  CHECK(why_not(one_model(R"({"from": "soon", "rates": {"input": "1"}})")) != "");
  // Half a pico-USD: 0.000001 x 1.1.
  CHECK(why_not(one_model(R"({"rates": {"input": "0.000001"}})", R"(, "geo": {"us": "1.1"})")) !=
        "");
  CHECK(why_not(one_model(good, R"(, "pattern": "^m-")")).find("pattern") != std::string::npos);
  CHECK(why_not(one_model(good, R"(, "pattern": "^m-([$")")).find("pattern") != std::string::npos);
  CHECK(why_not(one_model(good, R"(, "ids": ["m", "m"])")).find("twice") != std::string::npos);
  CHECK(why_not(std::string(100'000, '[')) != "");
  CHECK(why_not(R"({"models": )" + std::string(5000, '[') + std::string(5000, ']') + "}") != "");
}

TEST_CASE("periods must touch") {
  const auto two = [](const char* first_to, const char* second_from) {
    return one_model(std::string(R"({"from": "2026-01-01", "to": ")") + first_to +
                     R"(", "rates": {"input": "1"}}, {"from": ")" + second_from +
                     R"(", "to": null, "rates": {"input": "2"}})");
  };
  CHECK(RateCard::parse(two("2026-02-01", "2026-02-01")));
  CHECK(why_not(two("2026-02-01", "2026-02-02")).find("gap") != std::string::npos);
  CHECK(why_not(two("2026-02-02", "2026-02-01")).find("gap") != std::string::npos);
  CHECK(why_not(two("2026-01-01", "2026-01-01")).find("ends before") != std::string::npos);
}

TEST_CASE("every cut of the card is refused or whole, never half") {
  const std::string text(bundled_rates_json());
  for (size_t cut = 0; cut + 2 < text.size(); cut += 997)
    CHECK_FALSE(RateCard::parse(text.substr(0, cut)));
  CHECK(RateCard::parse(text));
}

TEST_CASE("literal beginnings do not change what a pattern matches") {
  const auto matches = [](const char* pattern, const char* id) {
    const auto made = IdPattern::make(pattern);
    return made != nullptr && made->matches(id);
  };
  CHECK(matches("^ab?c$", "ac"));
  CHECK(matches("^ab*$", "a"));
  CHECK(matches("^ab{0,1}c$", "ac"));
  CHECK(matches("^a\\.b$", "a.b"));
  CHECK_FALSE(matches("^a\\.b$", "axb"));
  CHECK(matches("^(a|b)c$", "bc"));
  CHECK(matches("^a\\d$", "a7"));
  CHECK_FALSE(matches("^abc$", "abcd"));
  CHECK(IdPattern::make("abc$") == nullptr);
  CHECK(IdPattern::make("^abc\\$") == nullptr);
  CHECK(IdPattern::make("^a(b$") == nullptr);
  CHECK(IdPattern::make_later("abc$") == nullptr);
  CHECK(IdPattern::make_later("^a\\d$")->matches("a7"));
  CHECK_FALSE(IdPattern::make_later("^a\\d$")->matches("ab"));
  CHECK_FALSE(IdPattern::make_later("^a(b$")->matches("ab"));
}
