#include <catch2/catch.hpp>

#include "interceptor/pricing/price.h"
#include "tests/unit/pricing/worked_examples.h"

using namespace hm;
using namespace hm::pricing;

TEST_CASE("worked examples are exact to the digit") {
  for (const Example& example : worked_examples()) {
    INFO(example.name);
    const PriceResult result = price(RateCard::bundled(), example.record);
    INFO(result.reason);
    REQUIRE(result.state == PriceState::priced);
    CHECK(result.pico_usd == example.total);
    CHECK(result.cost_pico_usd == example.total);
    CHECK_FALSE(result.shadow_cost_pico_usd);
    CHECK(result.tier == example.tier);
    CHECK(result.long_context == example.long_context);
    CHECK(result.flags.empty());
    REQUIRE(result.lines.size() == example.lines.size());
    int64_t sum = 0;
    for (size_t i = 0; i < result.lines.size(); ++i) {
      const PriceLine& line = result.lines[i];
      CHECK(line.bucket == example.lines[i].bucket);
      CHECK(line.count == example.lines[i].count);
      CHECK(line.amount_pico_usd == example.lines[i].amount);
      CHECK(line.amount_pico_usd == line.count * line.rate_pico_usd);
      CHECK((line.multiplier.empty() || line.list_rate_pico_usd * 11 == line.rate_pico_usd * 10));
      sum += line.amount_pico_usd;
    }
    CHECK(sum == example.total);
  }
}

TEST_CASE("the same calls on a subscription have a shadow cost and no cost") {
  for (Example& example : worked_examples()) {
    INFO(example.name);
    example.record.billing = "subscription";
    const PriceResult result = price(RateCard::bundled(), example.record);
    CHECK_FALSE(result.cost_pico_usd);
    CHECK(result.shadow_cost_pico_usd == example.total);
  }
}

TEST_CASE("a price carries its stamp") {
  const PriceResult result = price(RateCard::bundled(), worked_examples()[5].record);
  CHECK(result.entry == "claude-sonnet-5-5");
  CHECK(result.period_from == "2026-10-07");
  CHECK(result.card_id == RateCard::bundled().id());
  CHECK(result.rates_source == "bundled-2026-11-23");
  CHECK(result.geo.empty());
  CHECK(price(RateCard::bundled(), worked_examples()[2].record).geo == "us");
  CHECK(price(RateCard::bundled(), worked_examples()[11].record).rates_source == "provider");
}
