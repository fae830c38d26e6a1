#include <catch2/catch.hpp>
#include <fstream>

#include "cli/rates_text.h"
#include "interceptor/pricing/bundled_rates.h"
#include "interceptor/pricing/rate_card.h"
#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;

namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class FixedClock final : public hm::Clock {
 public:
  explicit FixedClock(const char* day)
      : wall_(int64_t{*hm::pricing::parse_day(day)} * 86'400 * 1'000'000) {}
  [[nodiscard]] int64_t wall_us() const override { return wall_; }
  [[nodiscard]] int64_t steady_us() const override { return 0; }

 private:
  int64_t wall_;
};

struct PricingFixture : CliFixture {
  PricingFixture() {
    context.clock = &clock;
    std::filesystem::create_directories(folder / "home");
  }
  void own_rates(const std::string& text) const {
    std::ofstream(folder / "home" / "rates.toml") << text;
  }
  FixedClock clock{"2026-11-24"};
};

}  // namespace

TEST_CASE("rates are exact decimals per million") {
  CHECK(per_million(37'500) == "0.0375");
  CHECK(per_million(3'000'000) == "3");
  CHECK(per_million(12'500'000) == "12.5");
  CHECK(per_million(20'000'000) == "20");
  CHECK(per_million(0) == "0");
  CHECK(per_million(1) == "0.000001");
}

TEST_CASE_METHOD(PricingFixture, "pricing list and show") {
  CHECK(run({"pricing", "list", "--provider", "anthropic"}) == kFine);
  CHECK(holds(out.str(), "Rate card of 2026-11-23, evidence until 2026-11-10\n"));
  CHECK(holds(out.str(), "claude-opus-5-5"));
  CHECK_FALSE(holds(out.str(), "gpt-5.5"));
  CHECK_FALSE(holds(out.str(), "Notice"));
  CHECK(run({"pricing", "list", "--json"}) == kFine);
  CHECK(holds(out.str(), "\"card_date\": \"2026-11-23\""));

  CHECK(run({"pricing", "list", "--provider", "xai"}) == kFine);
  CHECK(holds(out.str(), "USD per 1,000 calls of server-side tools\n"));
  CHECK(holds(out.str(), "  xai collections_search 2.5\n"));
  CHECK_FALSE(holds(out.str(), "google_search"));
  CHECK(run({"pricing", "list", "--provider", "nobody"}) == kNotWell);
  CHECK(holds(err.str(), "no card has rates of 'nobody'"));

  CHECK(run({"pricing", "show", "claude-fable-5-2"}) == kFine);
  CHECK(holds(out.str(), "read in: release-notes\n"));
  CHECK(holds(out.str(), "others say: "));
  CHECK(holds(out.str(), "confidence: medium\n"));
  CHECK(holds(out.str(), "  from 2026-11-09 (in force)\n"));
  CHECK(run({"pricing", "show", "claude-sonnet-5-5"}) == kFine);
  CHECK(holds(out.str(), "until before 2026-10-07"));
  CHECK(holds(out.str(), "batch: "));
  CHECK(run({"pricing", "show", "claude-haiku-5-5"}) == kFine);
  CHECK(holds(out.str(), "above 100,000 prompt tokens: "));
  CHECK(run({"pricing", "show", "claude-haiku-5-5", "--json"}) == kFine);
  CHECK(holds(out.str(), "\"threshold_tokens\": 100000"));
  CHECK(run({"pricing", "show", "claude-haiku-5-6"}) == kNotWell);
  CHECK(holds(err.str(), "the nearest ids are "));
  CHECK(out.str().empty());
}

TEST_CASE_METHOD(PricingFixture, "a card older than 45 days says so") {
  const FixedClock last("2027-01-07"), after("2027-01-08");
  context.clock = &last;
  CHECK(run({"pricing", "list"}) == kFine);
  CHECK_FALSE(holds(out.str(), "Notice"));
  context.clock = &after;
  CHECK(run({"pricing", "list"}) == kFine);
  CHECK(holds(out.str(), "Notice: the card is older than 45 days"));
}

TEST_CASE_METHOD(PricingFixture, "rates of one's own are shown; a bad file is told and not used") {
  own_rates(
      "[[model]]\nprovider = \"mistral\"\nmodel = \"mistral-large\"\n"
      "[[model.periods]]\nrates = { input = \"2\", output = \"6.5\" }\n");
  CHECK(run({"pricing", "show", "mistral-large"}) == kFine);
  CHECK(holds(out.str(), "source: rates.toml"));
  CHECK(holds(out.str(), "standard: input 2, output 6.5\n"));
  CHECK(err.str().empty());
  const std::string file = (folder / "home" / "rates.toml").string();
  CHECK(run({"pricing", "check", file}) == kFine);
  CHECK(out.str() == file + ": good, 1 model of its own\n");

  own_rates("[discounts]\nopenai = 0.9\n");
  CHECK(run({"pricing", "check", file}) == kNotWell);
  CHECK(err.str() == file + ":2: openai must be a text in quotes\n");
  CHECK(run({"pricing", "list"}) == kFine);
  CHECK(holds(err.str(), "the whole file is ignored and list prices are used"));
  CHECK(holds(out.str(), "Rate card of 2026-11-23"));
}

TEST_CASE_METHOD(PricingFixture, "pricing check reads cards, too") {
  const std::string file = (folder / "card.json").string();
  std::ofstream(file) << "{\"format\": \"something\"}";
  CHECK(run({"pricing", "check", file}) == kNotWell);
  CHECK(holds(err.str(), file + ": card: "));
  CHECK(run({"pricing", "check", file, "--json"}) == kNotWell);
  CHECK(holds(out.str(), "\"good\": false"));
  CHECK(holds(out.str(), "\"problem\": \"" + file + ": card: "));
  CHECK(run({"pricing", "check", (folder / "none").string()}) == kNotWell);
}

TEST_CASE_METHOD(PricingFixture, "pricing check tells what to confirm in a new card") {
  std::string text(hm::pricing::bundled_rates_json());
  const std::string file = (folder / "card.json").string();
  std::ofstream(file) << text;
  CHECK(run({"pricing", "check", file}) == kFine);
  CHECK_FALSE(holds(out.str(), "To be confirmed"));
  const std::string rates = R"("model": "claude-sonnet-5", )", old = R"("input": "2", )";
  const size_t at = text.find(old, text.find(rates));
  REQUIRE(at != std::string::npos);
  text.replace(at, old.size(), R"("input": "20", )");
  std::ofstream(file) << text;
  CHECK(run({"pricing", "check", file}) == kFine);
  CHECK(holds(out.str(), "anthropic claude-sonnet-5 input: 2 before, 20 now\n"));
  CHECK(run({"pricing", "check", file, "--json"}) == kFine);
  CHECK(holds(out.str(), "\"good\": true"));
  CHECK(holds(out.str(), "\"anthropic claude-sonnet-5 input: 2 before, 20 now\""));
}

TEST_CASE_METHOD(PricingFixture, "pricing unpriced without a database, and usage") {
  CHECK(run({"pricing", "unpriced"}) == kFine);
  CHECK(out.str() == "Every call with usage has a price.\n");
  CHECK(run({"pricing", "unpriced", "--json"}) == kFine);
  CHECK(holds(out.str(), "\"unpriced\": []"));
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"pricing"},
                                             {"pricing", "guess"},
                                             {"pricing", "show"},
                                             {"pricing", "list", "extra"},
                                             {"pricing", "unpriced", "--provider", "xai"},
                                             {"pricing", "key", "--json"},
                                             {"pricing", "list", "--dry-run"},
                                             {"pricing", "unpriced", "--since", "7d"},
                                             {"pricing", "reprice", "--since", "soon"},
                                             {"pricing", "reprice", "now"},
                                             {"pricing", "key"}})
    CHECK(run(words) == kUsage);
}

TEST_CASE_METHOD(PricingFixture, "what pricing cannot find it says in words, with a next step") {
  CHECK(run({"pricing", "check", "/nosuch"}) == kNotWell);
  CHECK(holds(err.str(), "/nosuch cannot be read: no such file or directory\nWhat to do: "));
  CHECK(run({"pricing", "list", "--provider", "nosuch"}) == kNotWell);
  CHECK(holds(err.str(), "What to do: halton-meter pricing list"));
  std::filesystem::create_directories(context.home.root());
  REQUIRE(hm::replace_file(context.home.database(), std::string(9000, 'x')));
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"pricing", "reprice"}, {"bodies", "stats"}}) {
    CHECK(run(words) == kNotWell);
    CHECK(holds(err.str(), context.home.database().string()));
    CHECK_FALSE(holds(err.str(), "store."));
    CHECK(holds(err.str(), "What to do: halton-meter doctor"));
  }
}

TEST_CASE_METHOD(PricingFixture, "reprice without a database, and with a bad rates.toml") {
  CHECK(run({"pricing", "reprice", "--json"}) == kFine);
  CHECK(holds(out.str(), "\"looked_at\": 0"));
  CHECK(holds(err.str(), "no calls have been metered yet"));
  CHECK_FALSE(std::filesystem::exists(folder / "home" / "db.sqlite"));
  own_rates("[discounts]\nopenai = 0.9\n");
  CHECK(run({"pricing", "reprice"}) == kNotWell);
  CHECK(holds(err.str(), "before rates.toml is mended"));
}

TEST_CASE_METHOD(PricingFixture, "a key's print comes from standard input and is for rates.toml") {
  std::istringstream in("  AIzaNoRealKeyAtAll0000000000000000000000\nmore\n");
  context.in = &in;
  CHECK(run({"pricing", "key"}) == kFine);
  const std::string print = out.str().substr(0, 16);
  CHECK(out.str() == print + "\n");
  std::istringstream again("AIzaNoRealKeyAtAll0000000000000000000000");
  context.in = &again;
  CHECK(run({"pricing", "key"}) == kFine);
  CHECK(out.str() == print + "\n");
  own_rates("[free_tier]\nkeys = [\"" + print + "\"]\n");
  CHECK(run({"pricing", "check", (folder / "home" / "rates.toml").string()}) == kFine);
}
