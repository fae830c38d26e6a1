#include "interceptor/api/json_out.h"

#include <catch2/catch.hpp>
#include <limits>

using hm::api::JsonOut;

TEST_CASE("documents are written as they are told") {
  JsonOut json;
  json.begin_object();
  json.key("a").integer(-9'223'372'036'854'775'807);
  json.key("b").begin_array().boolean(true).null().number(0.5).text("x\"\\\n\x01").end_array();
  json.key("c").integer_or_null(std::nullopt).key("d").integer_or_null(3);
  json.key("e").number(std::numeric_limits<double>::infinity());
  json.end_object();
  CHECK(
      json.take() ==
      R"({"a":-9223372036854775807,"b":[true,null,0.5,"x\"\\\n\u0001"],"c":null,"d":3,"e":null})");
}

TEST_CASE("text that is not UTF-8 becomes UTF-8") {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80", "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"},
      {"a\xFFz", "a\xEF\xBF\xBDz"},
      {"\xC3", "\xEF\xBF\xBD"},
      {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"\xE2\x82z", "\xEF\xBF\xBD\xEF\xBF\xBDz"},
      {"\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
  };
  for (const auto& [input, expected] : cases) {
    JsonOut json;
    json.text(input);
    CHECK(json.take() == "\"" + expected + "\"");
  }
}
