// What the golden cases leave out of the wire shapes: formulas, marks, odd answers.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/meter/support.h"

namespace hm::test {
namespace {

using namespace std::string_literals;

constexpr std::string_view kAnthropic = "api.anthropic.com";
constexpr std::string_view kOpenAi = "api.openai.com";
constexpr std::string_view kXai = "api.x.ai";
constexpr std::string_view kGemini = "generativelanguage.googleapis.com";
constexpr std::string_view kSse = "text/event-stream; charset=utf-8";

CallRecord only(const KeptRecords& kept) {
  REQUIRE(kept.misses.empty());
  REQUIRE(kept.calls.size() == 1);
  return kept.calls[0];
}

const std::string kStart =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"id":"msg_1","model":"claude-x",)"
    R"("usage":{"input_tokens":10,"output_tokens":1}}})"
    "\n\n";

int64_t part(const Usage& usage, std::string_view bucket) {
  const auto found = std::ranges::find(usage.parts, bucket, &UsagePart::bucket);
  return found == usage.parts.end() ? 0 : found->tokens;
}

}  // namespace

TEST_CASE("anthropic: fallback, fast mode, geo and growing writes", "[shape]") {
  const std::string body =
      R"({"type":"message","id":"m","model":"first","stop_reason":"end_turn","usage":{)"
      R"("input_tokens":5,"cache_creation_input_tokens":30,)"
      R"("cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":10},)"
      R"("output_tokens":9,"speed":"fast","service_tier":"standard","inference_geo":"us",)"
      R"("iterations":[{"type":"message","model":"first","input_tokens":4,"output_tokens":1},)"
      R"({"type":"fallback_message","model":"second","input_tokens":5,"output_tokens":9}]}})";
  const CallRecord record =
      only(meter_exchange(simple_exchange(kAnthropic, "/v1/messages", "{}", body)));
  CHECK(record.model == "second");
  CHECK(record.usage.cache_write_1h_tokens == 30);
  CHECK(record.usage.cache_write_5m_tokens == 0);
  CHECK(record.service_tier == "fast");
  CHECK(record.geo == "us");
  REQUIRE(record.extra_usage.size() == 1);
  CHECK(record.extra_usage[0].kind == "declined_message");
  CHECK(record.extra_usage[0].model == "first");
  CHECK(record.extra_usage[0].usage.input_tokens == 4);
}

TEST_CASE("anthropic: zeros never replace the input side", "[shape]") {
  const std::string zeros =
      R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":0,)"
      R"("cache_read_input_tokens":0,"output_tokens":0}})"
      "\n\n";
  const CallRecord record =
      only(meter_exchange(simple_exchange(kAnthropic, "/v1/messages", "{}", kStart + zeros, kSse)));
  CHECK(record.usage.input_tokens == 10);
  CHECK(record.usage.output_tokens == 0);
}

TEST_CASE("openai: the gap rule", "[shape]") {
  struct Row {
    const char* usage;
    int64_t input, output, thinking;
  };
  const Row rows[] = {
      {R"({"prompt_tokens":10,"completion_tokens":20,"total_tokens":30,"completion_tokens_details":{"reasoning_tokens":5}})",
       10, 20, 5},
      {R"({"prompt_tokens":10,"completion_tokens":20,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":5}})",
       10, 25, 5},
      {R"({"prompt_tokens":10,"completion_tokens":20,"total_tokens":37})", 10, 27, 7},
      {R"({"prompt_tokens":10,"completion_tokens":2,"total_tokens":12,"completion_tokens_details":{"reasoning_tokens":5}})",
       10, 7, 5},
      {R"({"prompt_tokens":10,"completion_tokens":20,"completion_tokens_details":{"reasoning_tokens":5}})",
       10, 20, 5},
      {R"({"prompt_tokens":10,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":30}})",
       10, 20, 0},
      {R"({"prompt_tokens":"10","completion_tokens":20.7,"total_tokens":null,"prompt_tokens_details":null})",
       10, 20, 0},
      {R"({"prompt_tokens":-4,"completion_tokens":true})", 0, 0, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.usage);
    const std::string body = R"({"id":"c","model":"m","usage":)"s + row.usage + "}";
    const CallRecord record =
        only(meter_exchange(simple_exchange(kOpenAi, "/v1/chat/completions", "{}", body)));
    CHECK(record.usage.input_tokens == row.input);
    CHECK(record.usage.output_tokens == row.output);
    CHECK(record.usage.thinking_tokens == row.thinking);
  }
  // xAI without a total counts reasoning on top.
  const CallRecord record = only(meter_exchange(simple_exchange(
      kXai, "/v1/chat/completions", "{}",
      R"({"usage":{"prompt_tokens":1,"completion_tokens":20,"completion_tokens_details":{"reasoning_tokens":5}}})")));
  CHECK(record.usage.output_tokens == 25);
}

TEST_CASE("openai: marks of a chat stream", "[shape]") {
  const std::string usage = R"("usage":{"prompt_tokens":3,"completion_tokens":4})";
  const auto complete = [](const std::string& body) {
    return only(meter_exchange(simple_exchange(
                    kOpenAi, "/v1/chat/completions",
                    R"({"stream":true,"stream_options":{"include_usage":true}})", body, kSse)))
        .tokens_complete;
  };
  const std::string open =
      R"(data: {"choices":[{"index":0,"finish_reason":null},{"index":1,"finish_reason":""}]})"
      "\n\n";
  CHECK(complete("data: {\"choices\":[]," + usage + "}\n\n"));
  CHECK(complete("data: {" + usage + "}\n\ndata: [DONE]"));
  CHECK_FALSE(complete("data: {" + usage + "}\n\n"));
  CHECK_FALSE(complete(open + "data: {\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]," +
                       usage + "}\n\n"));
  CHECK(complete(open +
                 R"(data: {"choices":[{"finish_reason":"stop","index":0}]})"
                 "\n\n"
                 R"(data: {"choices":[{"finish_reason":"stop","index":1}],)" +
                 usage + "}\n\n"));
  CHECK_FALSE(complete("data: [DONE]\n\n"));
}

TEST_CASE("openai: cache writes carry their lifetime", "[shape]") {
  const std::string body =
      R"({"status":"completed","usage":{"input_tokens":100,"input_tokens_details":{"cache_write_tokens":40},"output_tokens":1}})";
  const auto record = [&body](std::string_view request) {
    return only(meter_exchange(simple_exchange(kOpenAi, "/v1/responses", request, body)));
  };
  CHECK(part(record("{}").usage, "cache_write_30m") == 40);
  CHECK(part(record(R"({"prompt_cache_options":{"ttl":"12h"}})").usage, "cache_write_12h") == 40);
  const CallRecord strange = record(R"({"prompt_cache_options":{"ttl":"7d"}})");
  CHECK(strange.usage.parts.empty());
  CHECK(strange.bucket_doubt == "cache_lifetime");
  CHECK(strange.usage.input_tokens == 60);
}

TEST_CASE("openai: tools are counted once", "[shape]") {
  const std::string items =
      R"("output":[{"type":"web_search_call","action":{"type":"search"}},)"
      R"({"action":{"type":"open_page"},"type":"web_search_call"},{"type":"file_search_call"}])";
  const std::string body =
      R"(data: {"type":"response.output_item.done","item":{"type":"web_search_call","action":{"type":"search"}}})"
      "\n\ndata: {\"type\":\"response.completed\",\"response\":{" +
      items +
      R"(,"usage":{"input_tokens":1,"output_tokens":1}}})"
      "\n\n";
  const CallRecord record = only(
      meter_exchange(simple_exchange(kOpenAi, "/v1/responses", R"({"stream":true})", body, kSse)));
  REQUIRE(record.tool_calls.size() == 2);
  CHECK(record.tool_calls[0].name == "web_search");
  CHECK(record.tool_calls[0].count == 1);
  CHECK(record.tool_calls[1].name == "file_search");
}

TEST_CASE("openai: background, retrieval and deferred answers", "[shape]") {
  const CallRecord queued = only(meter_exchange(
      simple_exchange(kOpenAi, "/v1/responses", R"({"background":true})",
                      R"({"id":"resp_1","object":"response","status":"queued","usage":null})")));
  CHECK(queued.incomplete_reason == "background");
  CHECK(queued.response_id == "resp_1");
  CHECK(queued.status == CallStatus::success);

  Exchange again = simple_exchange(kOpenAi, "/v1/responses/resp_1", "",
                                   R"({"id":"resp_1","object":"response","status":"in_progress"})");
  again.request.method = "GET";
  CHECK(meter_exchange(again).calls.empty());
  again.response_body =
      R"({"id":"resp_1","object":"response","model":"m","status":"completed","usage":{"input_tokens":3,"output_tokens":4}})";
  const CallRecord done = only(meter_exchange(again));
  CHECK(done.response_id == "resp_1");
  CHECK(done.tokens_complete);

  const CallRecord deferred = only(meter_exchange(simple_exchange(
      kXai, "/v1/chat/completions", R"({"deferred":true})", R"({"request_id":"r1"})")));
  CHECK(deferred.incomplete_reason == "background");
  CHECK(deferred.response_id == "r1");
  Exchange later = simple_exchange(kXai, "/v1/chat/deferred-completion/r1", "", "");
  later.request.method = "GET";
  later.response.status = 202;
  CHECK(meter_exchange(later).calls.empty());
  later.response.status = 200;
  later.response_body =
      R"({"id":"cmpl","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})";
  CHECK(only(meter_exchange(later)).response_id == "r1");
}

TEST_CASE("openai: failed with usage is complete and an error", "[shape]") {
  const std::string body =
      "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"x\"}\n\n"
      R"(data: {"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded"},)"
      R"("usage":{"input_tokens":3,"output_tokens":0}}})"
      "\n\n";
  const CallRecord record =
      only(meter_exchange(simple_exchange(kOpenAi, "/v1/responses", "{}", body, kSse)));
  CHECK(record.status == CallStatus::error);
  CHECK(record.error_kind == "rate_limit");
  CHECK(record.provider_error_code == "rate_limit_exceeded");
  CHECK(record.tokens_complete);
  CHECK(record.usage.input_tokens == 3);
}

TEST_CASE("openai: media without tokens", "[shape]") {
  const CallRecord whisper = only(
      meter_exchange(simple_exchange(kOpenAi, "/v1/audio/transcriptions", "",
                                     R"({"text":"x","usage":{"type":"duration","seconds":7}})")));
  CHECK(whisper.tokens_complete);
  REQUIRE(whisper.tool_calls.size() == 1);
  CHECK(whisper.tool_calls[0].name == "audio_seconds");
  CHECK(whisper.tool_calls[0].count == 7);
  CHECK(whisper.bucket_doubt.empty());
  const CallRecord speech = only(meter_exchange(simple_exchange(
      kOpenAi, "/v1/audio/speech", R"({"model":"tts"})", "\x01\x02", "audio/mpeg")));
  CHECK(speech.incomplete_reason == "no_usage_in_response");
  CHECK(speech.status == CallStatus::success);
  CHECK(speech.model == "tts");
  const CallRecord picture = only(
      meter_exchange(simple_exchange(kXai, "/v1/images/generations", R"({"model":"i"})",
                                     R"({"data":[],"usage":{"cost_in_usd_ticks":200000000}})")));
  CHECK(picture.provider_cost_pico_usd == 20'000'000'000);
  CHECK(picture.tokens_complete);
}

TEST_CASE("gemini: formulas and price parts", "[shape]") {
  const auto record = [](const std::string& usage) {
    return only(meter_exchange(simple_exchange(
        kGemini, "/v1beta/models/g:generateContent", "{}",
        R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":)" + usage + "}")));
  };
  CallRecord r = record(
      R"({"promptTokenCount":9000,"cachedContentTokenCount":2000,"candidatesTokenCount":400,"thoughtsTokenCount":100,"promptTokensDetails":[{"modality":"TEXT","tokenCount":3000},{"modality":"AUDIO","tokenCount":6000}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":2000}],"candidatesTokensDetails":[{"modality":"TEXT","tokenCount":400}],"trafficType":"ON_DEMAND_PRIORITY"})");
  CHECK(r.usage.input_tokens == 7000);
  CHECK(r.usage.cache_read_tokens == 2000);
  CHECK(r.usage.output_tokens == 500);
  CHECK(part(r.usage, "input_audio") == 4000);
  CHECK(part(r.usage, "cache_read_audio") == 2000);
  CHECK(r.service_tier == "priority");
  CHECK(r.bucket_doubt.empty());
  r = record(
      R"({"promptTokenCount":10,"candidatesTokenCount":50,"thoughtsTokenCount":20,"totalTokenCount":60})");
  CHECK(r.usage.output_tokens == 50);
  CHECK(r.usage.thinking_tokens == 20);
  r = record(R"({"promptTokenCount":10,"candidatesTokenCount":50,"totalTokenCount":75})");
  CHECK(r.usage.output_tokens == 65);
  CHECK(r.usage.thinking_tokens == 15);
  r = record(R"({"promptTokenCount":"10","cachedContentTokenCount":"30"})");
  CHECK(r.usage.input_tokens == 0);
  CHECK(r.usage.cache_read_tokens == 10);
}

TEST_CASE("gemini: an error in the middle of a stream", "[shape]") {
  const std::string chunk = R"({"candidates":[{}],"usageMetadata":{"promptTokenCount":5}})";
  const std::string error = R"({"error":{"code":503,"status":"UNAVAILABLE","message":"m"}})";
  const std::string path = "/v1beta/models/g:streamGenerateContent";
  for (const auto& [body, type] :
       {std::pair{"[" + chunk + ",\n" + error + "]", "application/json"s},
        std::pair{"data: " + chunk + "\r\n\r\n" + error + "\r\n", std::string(kSse)},
        std::pair{"data: " + chunk + "\r\n\r\ndata: " + error, std::string(kSse)}}) {
    CAPTURE(body);
    const CallRecord record =
        only(meter_exchange(simple_exchange(kGemini, path, "{}", body, type)));
    CHECK(record.error_kind == "overloaded");
    CHECK(record.incomplete_reason == "stream_error");
    CHECK(record.usage.input_tokens == 5);
    CHECK(record.http_status == 200);
    CHECK(record.stream);
  }
}

}  // namespace hm::test
