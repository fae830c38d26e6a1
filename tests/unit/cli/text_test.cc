#include "cli/text.h"

#include <catch2/catch.hpp>

#include "cli/json_text.h"
#include "cli/money.h"

using namespace hm::cli;
using hm::pricing::Int128;

TEST_CASE("counts get thousands separators") {
  CHECK(thousands(0) == "0");
  CHECK(thousands(999) == "999");
  CHECK(thousands(1000) == "1,000");
  CHECK(thousands(1234567) == "1,234,567");
  CHECK(thousands(-1234) == "-1,234");
  CHECK(thousands(-123) == "-123");
}

TEST_CASE("shares and durations, present and absent") {
  CHECK(per_mille_text(1000) == "100.0 %");
  CHECK(per_mille_text(975) == "97.5 %");
  CHECK(per_mille_text(0) == "0.0 %");
  CHECK(per_mille_text(std::nullopt) == "-");
  CHECK(milliseconds(1234) == "1,234 ms");
  CHECK(milliseconds(std::nullopt) == "-");
}

TEST_CASE("money is printed with six decimals below a dollar, else two") {
  struct Case {
    Int128 pico;
    const char* text;
  };
  const Int128 dollar = hm::pricing::kPicoPerUsd;
  const Case cases[] = {
      {0, "$0.000000"},
      {1, "$0.000000"},
      {12'207'000'000, "$0.012207"},
      {dollar - 1, "$1.00"},  // rounds up to a whole dollar, and looks like one
      {dollar, "$1.00"},
      {dollar * 17 + dollar * 42 / 100, "$17.42"},
      {dollar * 1234 + dollar / 2, "$1,234.50"},
      {dollar * 1'234'567, "$1,234,567.00"},
      // More than 64 bits hold: sums must not wrap.
      {dollar * 20'000'000, "$20,000,000.00"},
  };
  for (const Case& c : cases) CHECK(dollars(PicoUsd(c.pico)) == c.text);
  CHECK(dollars_at_least(PicoUsd(dollar), true) == ">= $1.00");
  CHECK(dollars_at_least(PicoUsd(dollar), false) == "$1.00");
}

TEST_CASE("no control character reaches the terminal") {
  CHECK(printable("gpt-5") == "gpt-5");
  CHECK(printable("a\x1b[31mb\n\x7f") == "a?[31mb??");
  CHECK(printable("\xc2\x9b"
                  "31m") == "?31m");
  CHECK(printable("caf\xc3\xa9") == "caf\xc3\xa9");
}

TEST_CASE("widths count code points") {
  CHECK(display_width("caf\xc3\xa9") == 4);
  CHECK(fit("abcdef", 6) == "abcdef");
  CHECK(fit("abcdefghij", 8) == "abcde...");
  CHECK(fit("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 2) == "\xc3\xa9\xc3\xa9");
}

TEST_CASE("CSV fields are quoted where they must be") {
  CHECK(csv_field("plain") == "plain");
  CHECK(csv_field("") == "");
  CHECK(csv_field("a,b") == "\"a,b\"");
  CHECK(csv_field("say \"hi\"") == "\"say \"\"hi\"\"\"");
  CHECK(csv_field("two\nlines") == "\"two\nlines\"");
  CHECK(csv_field("=SUM(A1)") == "'=SUM(A1)");
  CHECK(csv_field("-12.5") == "-12.5");
}

TEST_CASE("edit distance knows swapped neighbours") {
  CHECK(edit_distance("report", "report") == 0);
  CHECK(edit_distance("reprot", "report") == 1);
  CHECK(edit_distance("stat", "status") == 2);
  CHECK(edit_distance("", "run") == 3);
}

TEST_CASE("JSON strings are escaped and always valid UTF-8") {
  CHECK(json_string("plain") == R"("plain")");
  CHECK(json_string("a\"b\\c") == R"("a\"b\\c")");
  CHECK(json_string("\n\t\r") == R"("\n\t\r")");
  CHECK(json_string(std::string_view("\x00\x1b", 2)) == "\"\\u0000\\u001b\"");
  CHECK(json_string("\xc3\xa9\xf0\x9f\x98\x80") == "\"\xc3\xa9\xf0\x9f\x98\x80\"");
  // A lone byte, an overlong form, a surrogate and a cut sequence.
  CHECK(json_string("\xff") == "\"\xef\xbf\xbd\"");
  CHECK(json_string("\xc0\xaf") == "\"\xef\xbf\xbd\xef\xbf\xbd\"");
  CHECK(json_string("\xed\xa0\x80") == "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
  CHECK(json_string("x\xe2\x82") == "\"x\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST_CASE("a JSON document nests, separates and indents") {
  JsonText json;
  json.begin_object().member("a", 1).member("text", "x").member("absent", std::optional<int64_t>());
  json.key("list").begin_array().value(true).value(0.5).end_array();
  json.key("empty").begin_object().end_object();
  json.end_object();
  CHECK(json.take() ==
        "{\n  \"a\": 1,\n  \"text\": \"x\",\n  \"absent\": null,\n  \"list\": [\n    true,\n    "
        "0.5\n  ],\n  \"empty\": {}\n}\n");
}
