#include "common/base/utf8.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace hm {
namespace {

using namespace std::string_literals;

struct Case {
  std::string text;
  std::string clean;
};

TEST_CASE("what is no UTF-8 becomes the replacement character, the rest stays") {
  const std::string r = "\xef\xbf\xbd";
  const std::vector<Case> cases = {
      {"", ""},
      {"gpt-5-mini", "gpt-5-mini"},
      {"Grüße ✓ 𝄞", "Grüße ✓ 𝄞"},
      {"\xff\xfe", r + r},
      {"a\xc3", "a" + r},                        // cut in a sequence
      {"a\xc3z", "a" + r + "z"},                 // no continuation
      {"\xc0\xaf", r + r},                       // longer than needed
      {"\xe0\x80\xaf", r + r + r},               // the same in three bytes
      {"\xed\xa0\x80", r + r + r},               // a surrogate
      {"\xf4\x90\x80\x80", r + r + r + r},       // above U+10FFFF
      {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},  // U+10FFFF itself
      {"\x80", r},
      {"a\0b"s, "a" + r + "b"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.text);
    CHECK(clean_text(one.text) == one.clean);
    CHECK(is_clean_text(one.text) == (one.text == one.clean));
    CHECK(is_clean_text(clean_text(one.text)));
  }
}

}  // namespace
}  // namespace hm
