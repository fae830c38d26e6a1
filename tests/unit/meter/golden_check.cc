#include "tests/unit/meter/golden_check.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <initializer_list>
#include <string>
#include <string_view>

namespace hm::test {
namespace {

int64_t tool_calls(const CallRecord& record, std::initializer_list<std::string_view> names) {
  int64_t count = 0;
  for (const ToolCalls& tool : record.tool_calls) {
    if (std::ranges::find(names, tool.name) != names.end()) count += tool.count;
  }
  return count;
}

int64_t part(const CallRecord& record, std::string_view bucket) {
  for (const UsagePart& entry : record.usage.parts) {
    if (entry.bucket == bucket) return entry.tokens;
  }
  return 0;
}

void check_extra(const CallRecord& record, const rapidjson::Value& expected) {
  REQUIRE(record.extra_usage.size() == expected.Size());
  for (rapidjson::SizeType i = 0; i < expected.Size(); ++i) {
    const ExtraUsage& extra = record.extra_usage[i];
    const rapidjson::Value& wanted = expected[i];
    CHECK(extra.kind == wanted["kind"].GetString());
    CHECK(extra.model == wanted["model"].GetString());
    CHECK(extra.usage.input_tokens == wanted["input_tokens"].GetInt64());
    CHECK(extra.usage.cache_read_tokens == wanted["cache_read_tokens"].GetInt64());
    CHECK(extra.usage.cache_write_5m_tokens == wanted["cache_write_5m_tokens"].GetInt64());
    CHECK(extra.usage.cache_write_1h_tokens == wanted["cache_write_1h_tokens"].GetInt64());
    CHECK(extra.usage.output_tokens == wanted["output_tokens"].GetInt64());
  }
}

void check_optional(const CallRecord& record, const std::string& name,
                    const rapidjson::Value& wanted) {
  CAPTURE(name);
  if (name == "requested_model") {
    CHECK(record.requested_model == wanted.GetString());
  } else if (name == "service_tier") {
    CHECK(record.service_tier == wanted.GetString());
  } else if (name == "stop_reason") {
    CHECK(record.stop_reason == wanted.GetString());
  } else if (name == "counted_tokens") {
    CHECK(record.counted_tokens == wanted.GetInt64());
  } else if (name == "web_search_requests") {
    CHECK(tool_calls(record, {"web_search", "x_search", "google_search"}) == wanted.GetInt64());
  } else if (name == "audio_input_tokens") {
    CHECK(part(record, "input_audio") == wanted.GetInt64());
  } else if (name == "audio_output_tokens") {
    CHECK(part(record, "output_audio") == wanted.GetInt64());
  } else if (name == "image_output_tokens") {
    CHECK(part(record, "output_image") == wanted.GetInt64());
  } else if (name == "cost_usd") {
    CHECK(record.provider_cost_pico_usd == std::llround(wanted.GetDouble() * 1e12));
  } else if (name == "billing") {
    CHECK(record.billing == wanted.GetString());
  } else if (name == "extra_usage") {
    check_extra(record, wanted);
  } else {
    FAIL("no check for the optional field " << name);
  }
}

}  // namespace

void check_record(const CallRecord& record, const rapidjson::Value& expected) {
  const std::string provider = expected["provider"].GetString();
  CHECK(record.provider == (provider == "google" ? "gemini" : provider));
  CHECK(record.model == expected["model"].GetString());
  CHECK(record.endpoint == expected["endpoint"].GetString());
  CHECK(record.stream == expected["stream"].GetBool());
  CHECK(record.usage.input_tokens == expected["input_tokens"].GetInt64());
  CHECK(record.usage.cache_read_tokens == expected["cache_read_tokens"].GetInt64());
  CHECK(record.usage.cache_write_5m_tokens == expected["cache_write_5m_tokens"].GetInt64());
  CHECK(record.usage.cache_write_1h_tokens == expected["cache_write_1h_tokens"].GetInt64());
  CHECK(record.usage.output_tokens == expected["output_tokens"].GetInt64());
  CHECK(record.usage.thinking_tokens == expected["thinking_tokens"].GetInt64());
  CHECK(record.tokens_complete == expected["tokens_complete"].GetBool());
  CHECK(record.tokens_complete == record.incomplete_reason.empty());
  const auto& error = expected["error_class"];
  CHECK(record.error_kind == (error.IsNull() ? "" : error.GetString()));
  CHECK(record.error_class.empty() == record.error_kind.empty());
  CHECK(record.id.size() == 36);
  if (expected.HasMember("optional")) {
    for (const auto& member : expected["optional"].GetObject()) {
      check_optional(record, member.name.GetString(), member.value);
    }
  }
}

}  // namespace hm::test
