#include "cli/flags.h"

#include <array>
#include <catch2/catch.hpp>

using namespace hm::cli;
using Words = std::vector<std::string>;

namespace {

constexpr std::array kSpecs = {
    FlagSpec{"project", "SLUG", ""},
    FlagSpec{"quiet", "", ""},
};

}  // namespace

TEST_CASE("flags come in every usual spelling") {
  const auto flags = parse_flags(kSpecs, {"--project", "a", "--quiet", "x"}, false);
  REQUIRE(flags);
  CHECK(flags->value("project") == "a");
  CHECK(flags->has("quiet"));
  CHECK(flags->operands() == Words{"x"});
  CHECK(parse_flags(kSpecs, {"--project=a"}, false)->value("project") == "a");
  CHECK(parse_flags(kSpecs, {"x", "--quiet"}, false)->has("quiet"));
  CHECK(parse_flags(kSpecs, {"--help"}, false)->has("help"));
  CHECK(parse_flags(kSpecs, {"-h"}, false)->has("help"));
  CHECK(parse_flags(kSpecs, {}, false)->operands().empty());
  CHECK_FALSE(parse_flags(kSpecs, {}, false)->has("quiet"));
  CHECK_FALSE(parse_flags(kSpecs, {}, false)->value("project"));
}

TEST_CASE("the words of another command are left alone") {
  for (const Words& words : {Words{"--quiet", "--", "curl", "--quiet", "--project"},
                             Words{"--quiet", "curl", "--quiet", "--project"}}) {
    const auto flags = parse_flags(kSpecs, words, true);
    REQUIRE(flags);
    CHECK(flags->has("quiet"));
    CHECK(flags->operands() == Words{"curl", "--quiet", "--project"});
  }
  const auto value = parse_flags(kSpecs, {"--project", "curl", "wget"}, true);
  REQUIRE(value);
  CHECK(value->value("project") == "curl");
  CHECK(value->operands() == Words{"wget"});
  CHECK_FALSE(parse_flags(kSpecs, {"--project", "--", "true"}, true));  // no value was given
  // A second "--" belongs to the command.
  CHECK(parse_flags(kSpecs, {"--", "git", "--", "x"}, true)->operands() == Words{"git", "--", "x"});
  CHECK(parse_flags(kSpecs, {"git", "--", "x"}, true)->operands() == Words{"git", "--", "x"});
  CHECK(parse_flags(kSpecs, {"--", "a b", ""}, true)->operands() == Words{"a b", ""});
}

TEST_CASE("what is not understood is said") {
  for (const Words& words :
       {Words{"--colour"}, Words{"--project"}, Words{"--quiet=yes=no"}, Words{"-x"}}) {
    const auto flags = parse_flags(kSpecs, words, true);
    INFO(words[0]);
    if (words[0] != "--quiet=yes=no") CHECK_FALSE(flags);
    if (!flags) CHECK_FALSE(flags.error().empty());
  }
}
