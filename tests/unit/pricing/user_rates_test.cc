#include "interceptor/pricing/user_rates.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "interceptor/pricing/price.h"
#include "tests/unit/pricing/records.h"

using namespace hm::pricing;

namespace {

struct File {
  File() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hm-rates-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    folder = pattern;
  }
  ~File() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  UserRates load(const std::string& text) const {
    std::ofstream(path()) << text;
    return load_user_rates(path());
  }
  [[nodiscard]] std::filesystem::path path() const { return folder / "rates.toml"; }
  std::filesystem::path folder;
};

}  // namespace

TEST_CASE("rates.toml stands in front of the bundled card") {
  const File file;
  UserRates rates = load_user_rates(file.path());  // there is none
  CHECK(rates.problem.empty());
  CHECK(rates.card.get() == &RateCard::bundled());

  rates = file.load(R"(
[[model]]
provider = "openai"
model = "gpt-5.5"
[[model.periods]]
from = 2026-11-01
rates = { input = "1", output = "0" }
[discounts]
anthropic = "9/10"
)");
  CHECK(rates.problem.empty());
  REQUIRE(rates.card->has_overrides());
  CHECK(price(*rates.card, small_call("openai", "gpt-5.5")).cost_pico_usd == 1'000'000'000);
  CHECK(price(*rates.card, small_call("openai", "gpt-5.5", "2026-10-31")).cost_pico_usd ==
        8'000'000'000);
  CHECK(price(*rates.card, small_call("anthropic", "claude-sonnet-5")).cost_pico_usd ==
        2'700'000'000);
}

TEST_CASE("a bad rates.toml leaves the bundled card, whole") {
  const File file;
  for (const auto& [text, error] : {
           std::pair{"[[model]]\nprovider = \"p\"\nmodel = \"m\"\n",
                     "rates.toml:1: p m: has no periods; the whole file is ignored"},
           std::pair{"\n[discounts]\nx = \"1/0\"\n", "rates.toml:3: discounts.x: is not"},
           std::pair{"[aliases.openai]\na = \"nobody\"\n",
                     "rates.toml:2: aliases.openai.a: stands"},
           std::pair{"hope = 1\n", "rates.toml:1: unknown field \"hope\""},
       }) {
    const UserRates rates = file.load(text);
    CHECK(rates.card.get() == &RateCard::bundled());
    INFO(rates.problem);
    CHECK(rates.problem.find(error) != std::string::npos);
  }
}

TEST_CASE("the example of docs/pricing.md is good") {
  std::ifstream in(std::string(HM_SOURCE_DIR) + "/docs/pricing.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  const size_t begin = page.find("```toml\n");
  REQUIRE(begin != std::string::npos);
  const size_t end = page.find("```\n", begin + 8);
  REQUIRE(end != std::string::npos);
  const auto card = with_user_rates(page.substr(begin + 8, end - begin - 8), "example");
  if (!card) UNSCOPED_INFO(card.error());
  REQUIRE(card);
  // 1000 in at 4, 100 out at 24
  CHECK(price(*card, small_call("openai", "gpt-5.5")).pico_usd == 6'400'000'000);
  CHECK(price(*card, small_call("mistral", "mistral-large")).pico_usd == 2'600'000'000);
  CHECK(price(*card, small_call("anthropic", "claude-sonnet-5")).pico_usd == 2'700'000'000);
  CHECK(price(*card, small_call("openai", "house-model")).entry == "gpt-5.4");
}
