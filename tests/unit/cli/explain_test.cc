#include "cli/explain.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "tests/unit/cli/cli_fixture.h"
#include "tests/unit/pricing/worked_examples.h"

using namespace hm;
using namespace hm::cli;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

store::ExplainedCall stored(const CallRecord& record) {
  store::ExplainedCall explained;
  explained.call.record = record;
  explained.call.record.id = "the-id";
  explained.call.project = "demo";
  explained.call.price = pricing::price(pricing::RateCard::bundled(), record);
  return explained;
}

// Of each worked example: the line that names it and the lines of its bill.
std::vector<std::string> reference() {
  std::ifstream file(std::string(HM_SOURCE_DIR) + "/tests/prices/worked-examples.txt");
  std::vector<std::string> blocks;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("# "))
      blocks.emplace_back();
    else
      blocks.back() += line + "\n";
  }
  return blocks;
}

}  // namespace

TEST_CASE("the worked examples are explained line by line") {
  const auto blocks = reference();
  const auto examples = pricing::worked_examples();
  REQUIRE(blocks.size() == examples.size());
  for (size_t i = 0; i < examples.size(); ++i) {
    INFO(examples[i].name);
    const std::string text = explanation(stored(examples[i].record), {});
    INFO(text);
    CHECK(holds(text, "\n" + blocks[i]));
  }
}

TEST_CASE("every kind of price is explained") {
  CallRecord r = pricing::small_call("anthropic", "claude-opus-5-6");
  std::string text = explanation(stored(r), {"claude-opus-5-5", "claude-opus-5"});
  CHECK(holds(text, "no cost: unknown_model, no card and no rates.toml knows the model\n"));
  CHECK(holds(text, "as a hint only: claude-opus-5-5, claude-opus-5\n"));
  CHECK_FALSE(holds(text, "total"));

  r = pricing::small_call("openai", "gpt-5.5");
  r.billing = "subscription";
  text = explanation(stored(r), {});
  CHECK(holds(text, "shadow cost $0.008000, not part of any spend\n"));

  r.usage = {};
  r.tokens_complete = false;
  r.incomplete_reason = "usage_not_requested";
  text = explanation(stored(r), {});
  CHECK(holds(text, "no cost: no_usage, "));
  CHECK(holds(text, "; a lower bound (usage_not_requested)\n"));

  r = pricing::small_call("xai", "grok-4.3");
  r.provider_cost_pico_usd = 1'000'000'500;
  text = explanation(stored(r), {});
  CHECK(holds(text, "- total: 1,500,000,000 pico-USD"));
  CHECK(holds(text,
              "- the provider's own figure: 1,000,000,500 pico-USD = 1,000,000.500 nano-USD, shown "
              "as 1,000,001 nano-USD = 1000.0005 micro-USD\n"));
  CHECK(holds(text, "source: provider, which is preferred to the card's total\n"));
  CHECK(holds(text, "note: provider_cost_differs, "));
  r.model = "grok-unheard-of";
  text = explanation(stored(r), {});
  CHECK(holds(text, "cost $0.001000\n"));
  CHECK(holds(text, "note: provider_cost_only, "));

  r = pricing::small_call("anthropic", "claude-sonnet-5");
  r.extra_usage = {{"advisor_message", "claude-opus-4-8", {}}};
  r.extra_usage[0].usage.output_tokens = 10;
  text = explanation(stored(r), {});
  CHECK(holds(text, "- output: 100 x 10 per M = 1,000,000,000 pico-USD\n"));
  CHECK(holds(text, "- output (claude-opus-4-8): 10 x 25 per M = 250,000,000 pico-USD\n"));

  CallRecord speech = pricing::call("openai", "whisper-1", "2026-11-15");
  speech.tool_calls = {{"audio_seconds", 94}};
  CHECK(holds(explanation(stored(speech), {}),
              "- audio_seconds: 94 seconds at 0.006 per minute = 9,400,000,000 pico-USD\n"));

  store::ExplainedCall twice = stored(r);
  twice.past.push_back({1, twice.call.price});
  text = explanation(twice, {});
  CHECK(holds(text, "before it was priced again at 1970-01-01T00:00:00.000001Z:\n"));
  CHECK(holds(explanation_json(twice, {}), "\"history\": [\n"));
  CHECK(holds(explanation_json(twice, {}),
              "\"text\": \"output: 100 x 10 per M = 1,000,000,000 pico-USD\""));
}

TEST_CASE("a discount has a line of its own") {
  const auto card =
      pricing::RateCard::bundled().with_overrides(R"({"discounts":{"openai":"9/10"}})");
  REQUIRE(card);
  store::ExplainedCall explained;
  explained.call.record = pricing::small_call("openai", "gpt-5.5");
  explained.call.price = pricing::price(*card, explained.call.record);
  CHECK(holds(explanation(explained, {}), "- discount: the sum x 0.9 = -800,000,000 pico-USD\n"));
}

TEST_CASE("reasons and flags have sentences; a word from elsewhere stands for itself") {
  CHECK(about_reason("unknown_model") != "unknown_model");
  CHECK(about_reason("of_tomorrow") == "of_tomorrow");
  CHECK(about_flag("stale_rate") != "stale_rate");
}

TEST_CASE_METHOD(CliFixture, "report --explain: what cannot be explained") {
  CHECK(run({"report", "--explain", "nobody"}) == kNotWell);
  CHECK(holds(err.str(), "no call has an id like 'nobody'"));
  CHECK(holds(err.str(), "What to do: "));
  CHECK(run({"report", "--explain", "x", "--since", "7d"}) == kUsage);
  CHECK(run({"report", "--explain", "x", "--csv"}) == kUsage);
  CHECK(run({"report", "--explain"}) == kUsage);
}
