// The twelve worked examples of the pricing reference, line by line. In text form they are in
// tests/prices/worked-examples.txt.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/unit/pricing/records.h"

namespace hm::pricing {

struct Line {
  const char* bucket;
  int64_t count;
  int64_t amount;
};

struct Example {
  const char* name;
  CallRecord record;
  const char* tier;
  bool long_context;
  std::vector<Line> lines;
  int64_t total;
};

inline std::vector<Example> worked_examples() {
  std::vector<Example> list;
  const auto add = [&](const char* name, CallRecord record, const char* tier, bool long_context,
                       std::vector<Line> lines, int64_t total) {
    list.push_back({name, std::move(record), tier, long_context, std::move(lines), total});
  };

  CallRecord r = call("anthropic", "claude-sonnet-4-5-20250929", "2026-11-15");
  r.usage.input_tokens = 1234;
  r.usage.output_tokens = 567;
  add("1 plain", r, "standard", false,
      {{"input", 1234, 3'702'000'000}, {"output", 567, 8'505'000'000}}, 12'207'000'000);

  r = call("anthropic", "claude-opus-5-5", "2026-11-15");
  r.usage = {12, 84210, 3102, 0, 1408, 0, {}};
  add("2 cache read", r, "standard", false,
      {{"input", 12, 48'000'000},
       {"cache_read", 84210, 16'842'000'000},
       {"cache_write_5m", 3102, 15'510'000'000},
       {"output", 1408, 28'160'000'000}},
      60'560'000'000);

  r = call("anthropic", "claude-fable-5-2", "2026-11-15");
  r.usage = {25, 60000, 1000, 2000, 900, 0, {}};
  r.geo = "us";
  add("3 both lifetimes in the US", r, "standard", false,
      {{"input", 25, 220'000'000},
       {"cache_read", 60000, 13'200'000'000},
       {"cache_write_5m", 1000, 11'000'000'000},
       {"cache_write_1h", 2000, 35'200'000'000},
       {"output", 900, 39'600'000'000}},
      99'220'000'000);

  r = call("anthropic", "claude-haiku-5-5", "2026-11-15");
  r.usage = {1, 100'000, 0, 0, 1000, 0, {}};
  add("4 above the threshold", r, "standard", true,
      {{"input", 1, 500'000},
       {"cache_read", 100'000, 5'000'000'000},
       {"output", 1000, 2'500'000'000}},
      7'500'500'000);

  r = call("anthropic", "claude-opus-5", "2026-11-15");
  r.usage = {500, 30000, 800, 0, 2000, 0, {}};
  r.service_tier = "fast";
  r.tool_calls = {{"web_search", 2}};
  add("5 fast and searches", r, "fast", false,
      {{"input", 500, 5'000'000'000},
       {"cache_read", 30000, 30'000'000'000},
       {"cache_write_5m", 800, 10'000'000'000},
       {"output", 2000, 100'000'000'000},
       {"web_search", 2, 20'000'000'000}},
      165'000'000'000);

  r = call("anthropic", "claude-sonnet-5-5", "2026-10-07");
  r.usage = {1000, 10000, 0, 4000, 500, 0, {}};
  r.service_tier = "batch";
  add("6 batch on the day of the change", r, "batch", false,
      {{"input", 1000, 1'000'000'000},
       {"cache_read", 10000, 500'000'000},
       {"cache_write_1h", 4000, 8'000'000'000},
       {"output", 500, 2'500'000'000}},
      12'000'000'000);

  r = call("openai", "gpt-5.6-terra", "2026-11-15");
  r.usage = {2000, 12000, 4000, 0, 900, 600, {}};
  add("7 written and cached inside", r, "standard", false,
      {{"input", 2000, 4'000'000'000},
       {"cache_read", 12000, 2'400'000'000},
       {"cache_write_30m", 4000, 10'000'000'000},
       {"output", 900, 10'800'000'000}},
      27'200'000'000);

  r = call("openai", "gpt-6.1-sol", "2026-11-15");
  r.usage = {9857, 262'144, 0, 0, 2000, 1500, {}};
  add("8 just above 272,000", r, "standard", true,
      {{"input", 9857, 39'428'000'000},
       {"cache_read", 262'144, 52'428'800'000},
       {"output", 2000, 30'000'000'000}},
      121'856'800'000);

  r = call("openai", "gpt-5.4-mini", "2026-11-15");
  r.usage = {1026, 1025, 0, 0, 64, 0, {}};
  r.service_tier = "flex";
  add("9 flex", r, "flex", false,
      {{"input", 1026, 384'750'000}, {"cache_read", 1025, 38'437'500}, {"output", 64, 144'000'000}},
      567'187'500);

  r = call("gemini", "gemini-3.1-pro-preview", "2026-11-15");
  r.usage = {50'000, 200'000, 0, 0, 4000, 3200, {}};
  add("10 above 200k", r, "standard", true,
      {{"input", 50'000, 200'000'000'000},
       {"cache_read", 200'000, 80'000'000'000},
       {"output", 4000, 72'000'000'000}},
      352'000'000'000);

  r = call("gemini", "gemini-2.5-flash", "2026-11-15");
  r.usage = {7000, 2000, 0, 0, 500, 100, {{"input_audio", 4000}, {"cache_read_audio", 2000}}};
  r.service_tier = "priority";
  add("11 audio", r, "priority", false,
      {{"input", 3000, 1'620'000'000},
       {"input_audio", 4000, 7'200'000'000},
       {"cache_read_audio", 2000, 360'000'000},
       {"output", 500, 2'250'000'000}},
      11'430'000'000);

  r = call("xai", "grok-4.3", "2026-08-24");
  r.usage = {6140, 3072, 0, 0, 3417, 0, {}};
  r.tool_calls = {{"x_search", 3}};
  r.provider_cost_pico_usd = 31'831'900'000;
  add("12 a known bill", r, "standard", false,
      {{"input", 6140, 7'675'000'000},
       {"cache_read", 3072, 614'400'000},
       {"output", 3417, 8'542'500'000},
       {"x_search", 3, 15'000'000'000}},
      31'831'900'000);
  return list;
}

}  // namespace hm::pricing
