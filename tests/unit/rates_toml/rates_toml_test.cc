#include "common/rates_toml/rates_toml.h"

#include <catch2/catch.hpp>

using hm::rates_toml::read;

TEST_CASE("the whole shape becomes the card's JSON") {
  const auto made = read(R"(
[[model]]
provider = "mistral"
model = "mistral-large"
ids = ["mistral-large", "ml"]
geo = { us = "1.1" }
[[model.periods]]
from = 2026-11-01
rates = { input = "2", output = "6.50" }
long_context = { threshold_tokens = 1000, op = "gt", rates = { input = "4", output = "13" } }
[model.periods.service_tiers.batch]
rates = { input = "1", output = "3.25" }

[discounts]
openai = "9/10"
[aliases.openai]
"my \"gpt\"" = "gpt-5.4"
[per_call.xai]
x_search = "4"
)",
                         "r.toml");
  REQUIRE(made);
  CHECK(made->json ==
        R"({"models":[{"geo":{"us":"1.1"},"ids":["mistral-large","ml"],"model":"mistral-large",)"
        R"("periods":[{"from":"2026-11-01","long_context":{"op":"gt","rates":{"input":"4",)"
        R"("output":"13"},"threshold_tokens":1000},"rates":{"input":"2","output":"6.50"},)"
        R"("service_tiers":{"batch":{"rates":{"input":"1","output":"3.25"}}}}],)"
        R"("provider":"mistral"}],"discounts":{"openai":"9/10"},)"
        R"("aliases":{"openai":{"my \"gpt\"":"gpt-5.4"}},)"
        R"("providers":{"xai":{"per_call":{"x_search":"4"}}}})");
  CHECK(made->located("r.toml", "mistral mistral-large: has no periods") ==
        "r.toml:2: mistral mistral-large: has no periods");
  CHECK(made->located("r.toml", "discounts.openai: bad") == "r.toml:15: discounts.openai: bad");
  CHECK(made->located("r.toml", "else: bad") == "r.toml: else: bad");
}

TEST_CASE("an empty file overrides nothing") {
  REQUIRE(read("", "r.toml"));
  CHECK(read("# nothing\n", "r.toml")->json == "{}");
}

TEST_CASE("prints of keys that pay nothing") {
  const auto made = read("[free_tier]\nkeys = [\"0123456789abcdef\"]\n", "r.toml");
  REQUIRE(made);
  CHECK(made->json == R"({"free_tier":{"keys":["0123456789abcdef"]}})");
  CHECK(made->located("r.toml", "free_tier: bad") == "r.toml:1: free_tier: bad");
}

TEST_CASE("faults name file and line") {
  struct Row {
    const char* text;
    const char* error;
  };
  for (const auto& [text, error] : {
           Row{"x = 1\n", "r.toml:1: unknown field \"x\" in the file"},
           Row{"\n[[model]]\nhope = true\n", "r.toml:3: unknown field \"hope\" in [[model]]"},
           Row{"[[model]]\n[[model.periods]]\nrate = 1\n",
               "r.toml:3: unknown field \"rate\" in [[model.periods]]"},
           Row{"[[model]]\n[[model.periods]]\n[model.periods.rates]\ninput = 2.5\n",
               "r.toml:4: input must be a decimal number in quotes, like \"2.50\""},
           Row{"[per_call.xai]\nx_search = \"-1\"\n",
               "r.toml:2: x_search must be a decimal number in quotes, like \"2.50\""},
           Row{"[discounts]\nopenai = 0.9\n", "r.toml:2: openai must be a text in quotes"},
           Row{"model = 3\n", "r.toml:1: model must be written [[model]]"},
           Row{"[aliases]\nopenai = \"x\"\n", "r.toml:2: aliases.openai must be a table"},
           Row{"\n[free_tier]\nkey = \"x\"\n", "r.toml:3: unknown field \"key\" in free_tier"},
           Row{"[free_tier]\nkeys = [1]\n", "r.toml:2: keys must be a list of texts"},
       }) {
    const auto made = read(text, "r.toml");
    REQUIRE_FALSE(made);
    CHECK(made.error() == error);
  }
  const auto broken = read("a = 1\nb = [\n", "r.toml");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().starts_with("r.toml:"));
  CHECK_FALSE(read(std::string(hm::rates_toml::kMaxBytes + 1, '#'), "r.toml"));
}
