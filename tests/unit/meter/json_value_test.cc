#include "interceptor/meter/json_value.h"

#include <catch2/catch.hpp>
#include <utility>

TEST_CASE("usage without a single figure tells nothing") {
  const std::pair<const char*, bool> cases[] = {
      {R"({})", false},
      {R"({"prompt_tokens": "many", "completion_tokens": []})", false},
      {R"({"prompt_tokens": null, "details": {"cached": 3}})", false},
      {R"({"prompt_tokens": true})", false},
      {R"({"prompt_tokens": "12"})", true},
      {R"({"x": null, "completion_tokens": 0})", true},
      {R"([1])", false},
      {R"(7)", false},
  };
  for (const auto& [json, tells] : cases) {
    INFO(json);
    CHECK(hm::meter::JsonDocument(json).root().tells_figures() == tells);
  }
}
