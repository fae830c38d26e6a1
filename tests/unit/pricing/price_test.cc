#include "interceptor/pricing/price.h"

#include <catch2/catch.hpp>
#include <limits>

#include "interceptor/pricing/pico_usd.h"
#include "tests/unit/pricing/records.h"

using namespace hm;
using namespace hm::pricing;

namespace {

PriceResult priced(const CallRecord& record) {
  return price(RateCard::bundled(), record);
}

std::string reason_of(const CallRecord& record) {
  const PriceResult result = priced(record);
  CHECK(result.state == PriceState::unpriced);
  CHECK_FALSE(result.cost_pico_usd);
  CHECK_FALSE(result.shadow_cost_pico_usd);
  CHECK(result.lines.empty());
  CHECK(result.rates_source.empty());
  return result.reason;
}

bool has_flag(const PriceResult& result, const std::string& word) {
  for (const std::string& flag : result.flags)
    if (flag == word) return true;
  return false;
}

}  // namespace

TEST_CASE("zeros: exact, unknown, or charged by something else") {
  CallRecord error = call("anthropic", "", "2026-11-15");
  error.http_status = 429;
  error.status = CallStatus::error;
  CHECK(priced(error).state == PriceState::priced);
  CHECK(priced(error).cost_pico_usd == 0);

  CallRecord counting = call("anthropic", "whatever", "2026-11-15");
  counting.counted_tokens = 2095;
  CHECK(priced(counting).cost_pico_usd == 0);

  CallRecord silent = call("openai", "gpt-5.5", "2026-11-15");
  silent.tokens_complete = false;
  CHECK(priced(silent).state == PriceState::no_usage);
  CHECK_FALSE(priced(silent).cost_pico_usd);

  CallRecord whisper = call("openai", "whisper-1", "2026-11-15");
  whisper.request_kind = "audio";
  CHECK(reason_of(whisper) == "unit_not_in_usage");
  CallRecord painting = call("openai", "dall-e-9", "2026-11-15");
  painting.request_kind = "image";
  CHECK(reason_of(painting) == "unknown_model");
  CallRecord free_of_charge = small_call("openai", "omni-moderation-latest");
  CHECK(priced(free_of_charge).cost_pico_usd == 0);
}

TEST_CASE("an incomplete call with figures is priced as far as they go") {
  CallRecord cut = small_call("anthropic", "claude-sonnet-5");
  cut.tokens_complete = false;
  cut.status = CallStatus::truncated;
  CHECK(priced(cut).cost_pico_usd == 1000 * 2'000'000L + 100 * 10'000'000L);
}

TEST_CASE("reasons for no price") {
  CHECK(reason_of(small_call("anthropic", "claude-sonnet-9")) == "unknown_model");
  CHECK(reason_of(small_call("anthropic", "")) == "no_model");
  CHECK(reason_of(small_call("mistral", "mistral-large")) == "unknown_model");

  CallRecord r = small_call("anthropic", "claude-sonnet-5");
  r.service_tier = "turbo";
  CHECK(reason_of(r) == "unknown_tier");
  r.service_tier = "fast";  // Sonnet has no fast mode
  CHECK(reason_of(r) == "tier_not_offered");
  r.service_tier = "flex";
  CHECK(reason_of(r) == "unknown_tier");
  r.service_tier = "auto";
  CHECK(reason_of(r) == "unknown_tier");
  r.service_tier = "";
  r.geo = "moon";
  CHECK(reason_of(r) == "unknown_geo");
  r.geo = "not_available";
  CHECK(priced(r).state == PriceState::priced);
  r.bucket_doubt = "audio_parts_do_not_add_up";
  CHECK(reason_of(r) == "audio_parts_do_not_add_up");
  r.bucket_doubt = "";
  r.usage.parts = {{"input_smell", 10}};
  CHECK(reason_of(r) == "unknown_bucket");
  r.usage.parts = {};
  r.usage.input_tokens = -1;
  CHECK(reason_of(r) == "malformed_usage");
  r.usage.input_tokens = int64_t{1} << 49;
  r.usage.output_tokens = int64_t{1} << 49;
  CHECK(reason_of(r) == "overflow");
  r.usage.input_tokens = std::numeric_limits<int64_t>::max();
  CHECK(reason_of(r) == "malformed_usage");

  CallRecord search = small_call("anthropic", "claude-sonnet-5");
  search.tool_calls = {{"mind_reading", 1}};
  CHECK(reason_of(search) == "unknown_tool");
  search.tool_calls = {{"mind_reading", 0}};
  CHECK(priced(search).state == PriceState::priced);

  CallRecord output = small_call("openai", "text-embedding-3-small");
  CHECK(reason_of(output) == "missing_bucket");

  CallRecord long_fast = small_call("openai", "gpt-5.5");
  long_fast.service_tier = "priority";
  CHECK(priced(long_fast).tier == "fast");
  long_fast.usage.cache_read_tokens = 272'000;
  CHECK(reason_of(long_fast) == "long_context_not_offered");

  CallRecord lifetime = small_call("openai", "gpt-6.1-terra");
  lifetime.usage.cache_write_5m_tokens = 1000;
  lifetime.cache_lifetime = "7d";
  CHECK(reason_of(lifetime) == "unknown_cache_lifetime");
}

TEST_CASE("thresholds: above for most, at for xAI, cached tokens counted") {
  CallRecord r = call("anthropic", "claude-haiku-5-5", "2026-11-15");
  r.usage = {1, 99'999, 0, 0, 1, 0, {}};
  CHECK_FALSE(priced(r).long_context);
  r.usage.cache_write_1h_tokens = 1;
  CHECK(priced(r).long_context);

  CallRecord grok = call("xai", "grok-4.3", "2026-11-15");
  grok.usage = {199'999, 0, 0, 0, 1, 0, {}};
  CHECK_FALSE(priced(grok).long_context);
  grok.usage.cache_read_tokens = 1;
  CHECK(priced(grok).long_context);

  CallRecord gpt = call("openai", "gpt-5.4", "2026-11-15");
  gpt.usage = {272'000, 0, 0, 0, 1, 0, {}};
  CHECK_FALSE(priced(gpt).long_context);
  gpt.usage.input_tokens = 272'001;
  CHECK(priced(gpt).long_context);
  CHECK(priced(gpt).cost_pico_usd == int64_t{272'001} * 5'000'000 + 22'500'000);
}

TEST_CASE("tiers as served") {
  const auto tier = [](const char* provider, const char* model, const char* served,
                       const char* mode = "standard") {
    CallRecord r = small_call(provider, model);
    r.service_tier = served;
    r.mode = mode;
    const PriceResult result = priced(r);
    return result.state == PriceState::priced ? result.tier : "-" + result.reason;
  };
  CHECK(tier("openai", "gpt-5.5", "default") == "standard");
  CHECK(tier("openai", "gpt-5.5", "fast") == "fast");
  CHECK(tier("openai", "gpt-5.5", "scale") == "standard");
  CHECK(tier("openai", "gpt-5.5", "", "batch") == "batch");
  CHECK(tier("openai", "gpt-5.5", "default", "batch") == "batch");
  CHECK(tier("openai", "gpt-6.1-sol", "ultrafast") == "ultrafast");
  CHECK(tier("openai", "gpt-5.5", "ultrafast") == "-tier_not_offered");
  CHECK(tier("gemini", "gemini-2.5-flash", "ON_DEMAND_FLEX") == "flex");
  CHECK(tier("gemini", "gemini-2.5-flash", "ON_DEMAND") == "standard");
  CHECK(tier("xai", "grok-4.3", "priority") == "priority");
  CHECK(tier("anthropic", "claude-opus-5", "standard", "thinking") == "standard");
  CallRecord prepaid = small_call("anthropic", "claude-opus-5");
  prepaid.service_tier = "priority";
  CHECK(has_flag(priced(prepaid), "prepaid_tier"));
}

TEST_CASE("places") {
  CallRecord r = small_call("openai", "gpt-5.5");
  const int64_t plain = *priced(r).cost_pico_usd;
  r.host = "eu.api.openai.com";
  CHECK(priced(r).geo == "regional");
  CHECK(*priced(r).cost_pico_usd * 10 == plain * 11);
  r.host = "api.openai.com";
  r.geo = "us";
  CHECK(*priced(r).cost_pico_usd * 10 == plain * 11);
  r = small_call("openai", "gpt-4o");  // older than the surcharge
  r.host = "us.api.openai.com";
  CHECK(priced(r).geo.empty());
  CHECK(priced(r).state == PriceState::priced);
  r = small_call("xai", "grok-4.3");
  r.host = "us-east-1.api.x.ai";
  CHECK(priced(r).geo == "us");
  r.host = "eu-west-1.api.x.ai";
  CHECK(reason_of(r) == "unknown_geo");
  r = small_call("anthropic", "claude-opus-5");
  r.geo = "us";
  r.tool_calls = {{"web_search_requests", 1}};
  // Tokens times 1.1, the search as it is.
  CHECK(priced(r).cost_pico_usd == 1000 * 5'500'000L + 100 * 27'500'000L + int64_t{10'000'000'000});
}

TEST_CASE("tool charges") {
  const auto charge = [](const char* provider, const char* model, const char* tool, int64_t count) {
    CallRecord r = small_call(provider, model);
    const int64_t without = *priced(r).cost_pico_usd;
    r.tool_calls = {{tool, count}};
    const PriceResult result = priced(r);
    return result.cost_pico_usd ? *result.cost_pico_usd - without : int64_t{-1};
  };
  constexpr int64_t kMilli = 1'000'000'000;  // USD / 1000
  CHECK(charge("anthropic", "claude-opus-5", "web_fetch", 5) == 0);
  CHECK(charge("anthropic", "claude-opus-5", "tool_search", 5) == 0);
  CHECK(charge("anthropic", "claude-opus-5", "quantum", 1) == -1);  // no silent zero
  CHECK(charge("openai", "gpt-5.5", "image_generation", 1) == 0);
  CHECK(charge("openai", "gpt-5.5", "transcription", 1) == 0);
  CHECK(charge("openai", "gpt-5.5", "web_search", 2) == 20 * kMilli);
  CHECK(charge("openai", "gpt-5.5", "file_search", 2) == 5 * kMilli);
  CHECK(charge("openai", "gpt-5.5", "web_search_preview", 1) == 10 * kMilli);
  CHECK(charge("openai", "gpt-4o", "web_search_preview", 1) == 25 * kMilli);
  CHECK(charge("openai", "gpt-5.5", "code_interpreter", 1) == 0);
  CHECK(charge("gemini", "gemini-3.8-flash", "google_search", 3) == 42 * kMilli);
  CHECK(charge("gemini", "gemini-2.5-flash", "google_search", 3) == 35 * kMilli);
  CHECK(charge("gemini", "gemini-2.5-flash", "google_maps", 1) == -1);
  CHECK(charge("xai", "grok-4.3", "web_search_calls", 1) == 5 * kMilli);
  CHECK(charge("xai", "grok-4.3", "code_interpreter_calls", 2) == 10 * kMilli);
  CHECK(charge("xai", "grok-4.3", "document_search_calls", 1) == 10 * kMilli);
  CHECK(charge("xai", "grok-4.3", "file_search_calls", 1) == 5 * kMilli / 2);
  CHECK(charge("xai", "grok-4.3", "mcp_calls", 9) == 0);
  CallRecord hidden = small_call("openai", "gpt-4o-mini");
  hidden.tool_calls = {{"web_search", 1}};
  CHECK(has_flag(priced(hidden), "search_tokens"));
  hidden = small_call("openai", "gpt-5.5");
  for (const char* tool : {"code_interpreter", "image_generation", "transcription"}) {
    hidden.tool_calls = {{tool, 1}};
    CHECK(has_flag(priced(hidden), "not_covered"));
  }
}

TEST_CASE("usage of another model is priced by that model") {
  CallRecord r = call("anthropic", "claude-sonnet-5", "2026-11-15");
  r.usage.input_tokens = 2390;
  r.usage.output_tokens = 121;
  ExtraUsage advisor{"advisor_message", "claude-opus-4-8", {}};
  advisor.usage.input_tokens = 2518;
  advisor.usage.output_tokens = 22;
  r.extra_usage = {advisor};
  const PriceResult result = priced(r);
  REQUIRE(result.state == PriceState::priced);
  REQUIRE(result.lines.size() == 4);
  CHECK(result.lines[2].model == "claude-opus-4-8");
  CHECK(result.pico_usd == int64_t{2390} * 2'000'000 + 121 * 10'000'000L +
                               int64_t{2518} * 5'000'000 + 22 * 25'000'000L);
  CHECK(result.entry == "claude-sonnet-5");
  r.extra_usage[0].model = "claude-unknown";
  CHECK(reason_of(r) == "unknown_model");
  // Only the other model's usage: the own one need not be known.
  r = call("openai", "gpt-realtime-99", "2026-11-15");
  r.extra_usage = {{"input_transcription", "gpt-4o-transcribe", {}}};
  r.extra_usage[0].usage.input_tokens = 10;
  CHECK(priced(r).state == PriceState::priced);
}

TEST_CASE("thresholds are judged for each sub-call") {
  // Above 100,000 every token of Haiku 5.5 costs five times as much.
  CallRecord r = call("anthropic", "claude-haiku-5-5", "2026-11-15");
  const Usage first{60'000, 0, 0, 0, 100, 0, {}}, second{50'000, 5'000, 0, 0, 200, 0, {}};
  r.usage = {110'000, 5'000, 0, 0, 300, 0, {}};
  const int64_t cheap = 110'000 * 100'000LL + 5'000 * 10'000LL + 300 * 500'000LL;
  CHECK(priced(r).long_context);
  CHECK(priced(r).pico_usd == 5 * cheap);
  r.iterations = {first, second};
  const PriceResult result = priced(r);
  CHECK_FALSE(result.long_context);
  CHECK(result.pico_usd == cheap);
  REQUIRE(result.lines.size() == 3);  // sub-calls at the same rate are one line
  CHECK(result.lines[0].count == 110'000);
  // One of two is long: that one alone is dearer.
  const Usage long_one{100'001, 0, 0, 0, 10, 0, {}};
  r.usage = {160'001, 0, 0, 0, 110, 0, {}};
  r.iterations = {first, long_one};
  CHECK(priced(r).long_context);
  CHECK(priced(r).pico_usd ==
        60'000 * 100'000LL + 100 * 500'000LL + 5 * (100'001 * 100'000LL + 10 * 500'000LL));
  // Sub-calls that do not add up are not believed.
  r.iterations = {first, first};
  CHECK(priced(r).pico_usd == 5 * (160'001 * 100'000LL + 110 * 500'000LL));
}

TEST_CASE("a key that pays nothing has a shadow cost") {
  const auto card =
      RateCard::bundled().with_overrides(R"({"free_tier":{"keys":["0123456789abcdef"]}})");
  REQUIRE(card);
  CallRecord r = small_call("gemini", "gemini-2.5-flash");
  r.key_print = "0123456789abcdef";
  const PriceResult free = price(*card, r);
  CHECK_FALSE(free.cost_pico_usd);
  CHECK(free.shadow_cost_pico_usd == priced(r).cost_pico_usd);
  CHECK(free.flags == std::vector<std::string>{"free_tier_key"});
  r.key_print = "0123456789abcdee";
  CHECK(price(*card, r).cost_pico_usd);
  r.key_print.clear();
  CHECK(price(*card, r).cost_pico_usd);
  std::string why;
  CHECK_FALSE(RateCard::bundled().with_overrides(
      R"({"free_tier":{"keys":["AIzaSomebodysRealKey000000000000000000"]}})", &why));
  CHECK(why.find("AIza") == std::string::npos);
}

TEST_CASE("a figure that nobody knows marks the cost") {
  CallRecord r = small_call("openai", "gpt-5.5");
  r.bucket_doubt = "unknown_usage_field:dream_tokens";
  CHECK(priced(r).flags == std::vector<std::string>{"unknown_usage_field"});
  r.bucket_doubt.clear();
  CHECK(priced(r).flags.empty());
}

TEST_CASE("audio by its length") {
  CallRecord r = call("openai", "whisper-1", "2026-11-15");
  r.request_kind = "audio";
  r.tool_calls = {{"audio_seconds", 94}};
  const PriceResult result = priced(r);
  REQUIRE(result.state == PriceState::priced);
  CHECK(result.pico_usd == 94 * 100'000'000LL);  // 0.006 USD a minute
  CHECK(result.lines.size() == 1);
  r.model = "gpt-transcribe";
  CHECK(priced(r).pico_usd == 94 * 75'000'000LL);
  r.model = "gpt-realtime-whisper";  // 0.017 a minute is no whole figure a second
  CHECK(reason_of(r) == "per_minute");
  r.model = "gpt-5.5";
  CHECK(reason_of(r) == "per_minute");
  r.model = "whisper-99";
  CHECK(reason_of(r) == "unknown_model");
}

TEST_CASE("multipliers in text") {
  CHECK(text_of({11, 10}) == "1.1");
  CHECK(text_of({1, 1}) == "1");
  CHECK(text_of({9, 10}) == "0.9");
  CHECK(text_of({5, 3}) == "5/3");
  CHECK(text_of({1, 1000}) == "0.001");
}

TEST_CASE("parts") {
  CallRecord r = call("openai", "gpt-image-1", "2026-11-15");
  r.request_kind = "image";
  r.usage.input_tokens = 50;
  r.usage.output_tokens = 1056;  // the answer may not say of which kind; there is only one
  const PriceResult image = priced(r);
  REQUIRE(image.state == PriceState::priced);
  CHECK(image.lines[1].bucket == "output_image");
  r.usage.parts = {{"output_image", 1056}};
  CHECK(priced(r).pico_usd == image.pico_usd);

  r = small_call("gemini", "gemini-2.5-flash");
  r.usage.parts = {{"input_audio", 1001}};
  CHECK(reason_of(r) == "parts_do_not_fit");
  r.usage.parts = {{"input_video", 1001}};  // no rate of its own: nothing to separate
  CHECK(priced(r).state == PriceState::priced);

  r = call("openai", "gpt-6.1-terra", "2026-11-15");
  r.usage.cache_write_5m_tokens = 1000;
  r.usage.parts = {{"cache_write_12h", 400}};
  const PriceResult writes = priced(r);
  REQUIRE(writes.lines.size() == 2);
  CHECK(writes.pico_usd == 600 * 1'250'000L + 400 * 2'500'000L);
  r.usage.parts = {};
  r.cache_lifetime = "12h";
  CHECK(priced(r).pico_usd == 1000 * 2'500'000L);
  // Older models have no write charge of their own.
  r.model = "gpt-5";
  CHECK(priced(r).lines[0].rate_pico_usd == 1'250'000);
}

TEST_CASE("doubts that do and do not matter for the price") {
  CallRecord r = small_call("gemini", "gemini-2.5-flash");
  r.usage.cache_read_tokens = 500;
  r.bucket_doubt = "cached_modality";
  r.usage.parts = {{"input_image", 300}};  // images cost what text costs
  CHECK(priced(r).state == PriceState::priced);
  r.usage.parts = {{"input_audio", 300}};  // audio does not
  CHECK(reason_of(r) == "cached_modality");
  r = small_call("anthropic", "claude-sonnet-5");
  r.bucket_doubt = "fallback_credit";
  CHECK(priced(r).state == PriceState::priced);
  CHECK(has_flag(priced(r), "fallback_credit"));
  r = small_call("gemini", "gemini-2.5-flash");
  r.service_tier = "provisioned";
  CHECK(has_flag(priced(r), "prepaid_tier"));
}

TEST_CASE("the provider's own figure is the spend") {
  CallRecord r = small_call("xai", "grok-4.3");
  const int64_t ours = *priced(r).cost_pico_usd;
  r.provider_cost_pico_usd = ours + 100;
  PriceResult result = priced(r);
  CHECK(result.cost_pico_usd == ours + 100);
  CHECK(result.pico_usd == ours);
  CHECK(has_flag(result, "provider_cost_differs"));
  r.model = "grok-99";
  result = priced(r);
  CHECK(result.state == PriceState::priced);
  CHECK(result.cost_pico_usd == ours + 100);
  CHECK(has_flag(result, "provider_cost_only"));
  CHECK(result.rates_source == "provider");
}

TEST_CASE("a promotional price that lapsed is marked") {
  CHECK_FALSE(has_flag(priced(small_call("openai", "gpt-5.6-sol", "2026-11-21")), "stale_rate"));
  CHECK(has_flag(priced(small_call("openai", "gpt-5.6-sol", "2026-11-22")), "stale_rate"));
}

TEST_CASE("overrides come first, from their day on") {
  std::string why;
  const auto card = RateCard::bundled().with_overrides(R"({
    "models": [
      {"provider": "openai", "model": "gpt-5.5",
       "periods": [{"from": "2026-11-01", "to": null, "rates": {"input": "1", "output": "0"}}]},
      {"provider": "mistral", "model": "mistral-large",
       "periods": [{"from": null, "to": null, "rates": {"input": "2", "output": "6"}}]}],
    "aliases": {"openai": {"house-model": "gpt-5.4"}},
    "providers": {"xai": {"per_call": {"x_search": "4"}}},
    "discounts": {"anthropic": "9/10"}})",
                                                       &why);
  INFO(why);
  REQUIRE(card);
  CHECK(card->id() != RateCard::bundled().id());
  CHECK(card->has_overrides());

  PriceResult result = price(*card, small_call("openai", "gpt-5.5"));
  CHECK(result.cost_pico_usd == 1000 * 1'000'000L);
  CHECK(result.rates_source == "override");
  // A snapshot of the same model follows.
  CHECK(price(*card, small_call("openai", "gpt-5.5-2026-04-23")).cost_pico_usd == 1'000'000'000);
  result = price(*card, small_call("openai", "gpt-5.5", "2026-10-31"));
  CHECK(result.cost_pico_usd == 1000 * 5'000'000L + 100 * 30'000'000L);
  CHECK(result.rates_source == "bundled-2026-11-23");

  CHECK(price(*card, small_call("mistral", "mistral-large")).cost_pico_usd == 2'600'000'000);
  CHECK(price(*card, small_call("openai", "house-model")).entry == "gpt-5.4");

  CallRecord search = small_call("xai", "grok-4.3");
  search.tool_calls = {{"x_search", 1}};
  result = price(*card, search);
  CHECK(result.lines.back().amount_pico_usd == 4'000'000'000);
  CHECK(result.rates_source == "override");

  result = price(*card, small_call("anthropic", "claude-sonnet-5"));
  CHECK(result.pico_usd == 2'700'000'000);
  CHECK(result.lines.back().bucket == "discount");
  CHECK(result.lines.back().amount_pico_usd == -300'000'000);

  for (const char* wrong :
       {R"({"model": []})", R"({"discounts": {"openai": 0.9}})", R"({"discounts": {"x": "1/0"}})",
        R"({"aliases": {"openai": {"a": "nobody"}}})", R"({"providers": {"x": {"rates": {}}}})",
        R"({"models": [{"provider": "p", "model": "m", "periods": [], "hope": true}]})"}) {
    INFO(wrong);
    why.clear();
    CHECK_FALSE(RateCard::bundled().with_overrides(wrong, &why));
    CHECK_FALSE(why.empty());
  }
}

TEST_CASE("text of money") {
  CHECK(PicoUsd(12'207'000'000).dollars() == "0.012207");
  CHECK(PicoUsd(0).dollars() == "0.000000");
  CHECK(PicoUsd(499'999).dollars() == "0.000000");
  CHECK(PicoUsd(500'000).dollars() == "0.000001");
  CHECK(PicoUsd(999'999'499'999).dollars() == "0.999999");
  CHECK(PicoUsd(999'999'500'000).dollars() == "1.00");
  CHECK(PicoUsd(17'425'000'000'000).dollars() == "17.43");
  CHECK(PicoUsd(-17'425'000'000'000).dollars() == "-17.43");
  CHECK(PicoUsd(567'187'500).exact_dollars() == "0.0005671875");
  CHECK(PicoUsd(3 * kPicoPerUsd).exact_dollars() == "3");
  CHECK(PicoUsd(0).exact_dollars() == "0");
  CHECK(PicoUsd::joined(20'000'000, kPicoPerUsd, 5).digits() == "20000000000000000005");
  CHECK(PicoUsd::joined(20'000'000, kPicoPerUsd, 0).dollars() == "20000000.00");
  CHECK(PicoUsd(4'999'999).millicents() == 0);
  CHECK(PicoUsd(5'000'000).millicents() == 1);
  CHECK((PicoUsd(3) < PicoUsd(4)));
}
