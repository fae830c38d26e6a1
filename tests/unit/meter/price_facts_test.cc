// What decides a price besides the five figures: sub-calls, tools, modalities, tiers, logins, keys,
// batches. The edges that the golden cases leave out.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

#include "tests/unit/meter/support.h"

namespace hm::test {
namespace {

using namespace std::string_literals;

constexpr const char* kAnthropic = "api.anthropic.com";
constexpr const char* kOpenAi = "api.openai.com";
constexpr const char* kXai = "api.x.ai";
constexpr const char* kGemini = "generativelanguage.googleapis.com";

CallRecord only(const KeptRecords& kept) {
  REQUIRE(kept.misses.empty());
  REQUIRE(kept.calls.size() == 1);
  return kept.calls[0];
}

int64_t part(const Usage& usage, std::string_view bucket) {
  const auto found = std::ranges::find(usage.parts, bucket, &UsagePart::bucket);
  return found == usage.parts.end() ? 0 : found->tokens;
}

int64_t tool(const CallRecord& record, std::string_view name) {
  const auto found = std::ranges::find(record.tool_calls, name, &ToolCalls::name);
  return found == record.tool_calls.end() ? 0 : found->count;
}

}  // namespace

TEST_CASE("sub-calls of a message are told where there are several", "[traps]") {
  const auto iterations = [](const std::string& list) {
    return only(meter_exchange(simple_exchange(
                    kAnthropic, "/v1/messages", "{}",
                    R"({"type":"message","stop_reason":"end_turn","usage":{"input_tokens":30,)"
                    R"("output_tokens":3,"iterations":)" +
                        list + "}}")))
        .iterations;
  };
  const std::string message = R"({"type":"message","input_tokens":15,"output_tokens":1})";
  CHECK(iterations("[]").empty());
  CHECK(iterations("[" + message + "]").empty());
  CHECK(iterations("[" + message + "," + message + "]").size() == 2);
  // Another model's part is none of ours.
  CHECK(iterations("[" + message +
                   R"(,{"type":"advisor_message","model":"o","input_tokens":1,"output_tokens":1}])")
            .empty());
  const auto with_compaction =
      iterations("[" + message + R"(,{"type":"compaction","input_tokens":7,"output_tokens":2}])");
  REQUIRE(with_compaction.size() == 2);
  CHECK(with_compaction[1].input_tokens == 7);
}

TEST_CASE("counters of server tools: all of them, the last word counts", "[traps]") {
  const CallRecord anthropic = only(meter_exchange(simple_exchange(
      kAnthropic, "/v1/messages", "{}",
      R"({"type":"message","stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":0,"quantum_requests":3}}})")));
  CHECK(tool(anthropic, "web_search") == 2);
  CHECK(tool(anthropic, "web_fetch") == 0);
  CHECK(tool(anthropic, "quantum") == 3);  // nobody knows its price: no silent zero
  // xAI lists calls as output items, too; its usage says how many of them are billed.
  const CallRecord xai = only(meter_exchange(simple_exchange(
      kXai, "/v1/responses", "{}",
      R"({"object":"response","status":"completed","output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"web_search_call","action":{"type":"search"}}],"usage":{"input_tokens":1,"output_tokens":1,"server_side_tool_usage_details":{"web_search_calls":0,"x_search_calls":3}}})")));
  CHECK(tool(xai, "web_search") == 0);
  CHECK(tool(xai, "x_search") == 3);
}

TEST_CASE("a figure that nobody knows is marked, on the providers' own hosts", "[traps]") {
  const auto doubt = [](std::string_view host, std::string_view path, std::string_view body) {
    return only(meter_exchange(simple_exchange(host, path, "{}", body))).bucket_doubt;
  };
  CHECK(
      doubt(
          kAnthropic, "/v1/messages",
          R"({"type":"message","stop_reason":"x","usage":{"input_tokens":1,"dream_tokens":5}})") ==
      "unknown_usage_field:dream_tokens");
  CHECK(
      doubt(
          kAnthropic, "/v1/messages",
          R"({"type":"message","stop_reason":"x","usage":{"input_tokens":1,"cache_creation_input_tokens":9,"cache_creation":{"ephemeral_24h_input_tokens":9},"dream_tokens":0}})") ==
      "unknown_usage_field:ephemeral_24h_input_tokens");
  CHECK(doubt(kOpenAi, "/v1/chat/completions",
              R"({"usage":{"prompt_tokens":1,"completion_tokens_details":{"dream_tokens":5}}})") ==
        "unknown_usage_field:dream_tokens");
  CHECK(doubt(kOpenAi, "/v1/responses",
              R"({"object":"response","status":"completed","usage":{"input_tokens":1,"x":1}})") ==
        "unknown_usage_field:x");
  CHECK(doubt(kGemini, "/v1beta/models/g:generateContent",
              R"({"usageMetadata":{"promptTokenCount":1,"dreamTokenCount":2,"trafficType":1}})") ==
        "unknown_usage_field:dreamTokenCount");
  CHECK(doubt(kOpenAi, "/v1/chat/completions",
              R"({"usage":{"prompt_tokens":1,"new":null,"newer":"word","newest":false}})")
            .empty());
}

TEST_CASE("the older search tool has a name of its own", "[traps]") {
  const auto record = [](const std::string& tools) {
    return only(meter_exchange(simple_exchange(
        kOpenAi, "/v1/responses", "{}",
        R"({"object":"response","status":"completed","tools":)" + tools +
            R"(,"output":[{"type":"web_search_call","action":{"type":"search"}},{"type":"image_generation_call"}],"usage":{"input_tokens":1,"output_tokens":1}})")));
  };
  CHECK(tool(record(R"([{"type":"web_search_preview_2025_03_11"}])"), "web_search_preview") == 1);
  CHECK(tool(record(R"([{"type":"web_search"}])"), "web_search") == 1);
  CHECK(tool(record("[]"), "web_search") == 1);
  CHECK(tool(record("[]"), "image_generation") == 1);
}

TEST_CASE("gemini: modalities by name, by number, and of unknown kind", "[traps]") {
  const auto record = [](const std::string& details) {
    return only(meter_exchange(simple_exchange(
        kGemini, "/v1beta/models/g:generateContent", "{}",
        R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":20,"candidatesTokensDetails":[{"modality":"TEXT","tokenCount":20}],"promptTokensDetails":)" +
            details + "}}")));
  };
  CHECK(part(record(R"([{"modality":"AUDIO","tokenCount":40}])").usage, "input_audio") == 40);
  CHECK(part(record(R"([{"modality":4,"tokenCount":"40"}])").usage, "input_audio") == 40);
  CHECK(part(record(R"([{"modality":2,"tokenCount":40}])").usage, "input_image") == 40);
  CHECK(part(record(R"([{"modality":3,"tokenCount":40}])").usage, "input_video") == 40);
  CHECK(record(R"([{"modality":1,"tokenCount":40}])").usage.parts.empty());
  CHECK(record(R"([{"modality":1,"tokenCount":40}])").bucket_doubt.empty());
  CHECK(record(R"([{"tokenCount":40}])").bucket_doubt.empty());
  for (const char* strange :
       {R"([{"modality":"SMELL","tokenCount":40}])", R"([{"modality":17,"tokenCount":40}])"})
    CHECK(record(strange).bucket_doubt == "unknown_modality");
  CHECK(record(R"([{"modality":"SMELL","tokenCount":0}])").bucket_doubt.empty());

  const CallRecord untold = only(meter_exchange(simple_exchange(
      kGemini, "/v1beta/models/g:generateContent", "{}",
      R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"candidatesTokenCount":20}})")));
  CHECK(untold.bucket_doubt == "output_modality");

  const CallRecord interaction = only(meter_exchange(simple_exchange(
      kGemini, "/v1beta/interactions", "{}",
      R"({"id":"i","status":"completed","usage":{"total_input_tokens":100,"total_output_tokens":20,"total_tokens":120,"input_tokens_by_modality":[{"modality":"audio","tokens":60},{"modality":"text","tokens":40}],"output_tokens_by_modality":[{"modality":"text","tokens":20}],"grounding_tool_count":[{"type":"google_search","count":2}]}})")));
  CHECK(part(interaction.usage, "input_audio") == 60);
  CHECK(interaction.bucket_doubt.empty());
  CHECK(tool(interaction, "google_search") == 2);
}

TEST_CASE("images: what was cached is known by kind, or doubted", "[traps]") {
  const auto record = [](const std::string& details) {
    return only(meter_exchange(simple_exchange(
        kOpenAi, "/v1/images/edits", R"({"model":"gpt-image-2"})",
        R"({"data":[],"usage":{"input_tokens":100,"output_tokens":50,"input_tokens_details":)" +
            details + "}}")));
  };
  const CallRecord told = record(
      R"({"text_tokens":20,"image_tokens":80,"cached_tokens":60,"cached_tokens_details":{"text_tokens":10,"image_tokens":50}})");
  CHECK(told.usage.input_tokens == 40);
  CHECK(told.usage.cache_read_tokens == 60);
  CHECK(part(told.usage, "input_image") == 30);
  CHECK(part(told.usage, "cache_read_image") == 50);
  CHECK(told.bucket_doubt.empty());
  CHECK(record(R"({"image_tokens":80,"cached_tokens":60})").bucket_doubt == "cached_modality");
  CHECK(record(R"({"image_tokens":80,"text_tokens":20})").usage.cache_read_tokens == 0);
}

TEST_CASE("a login is told by its token, however the scheme is written", "[traps]") {
  for (const auto& [value, billing] : {std::pair{"Bearer sk-ant-oat01-x", "subscription"},
                                       {"bearer sk-ant-oat01-x", "subscription"},
                                       {"BEARER  sk-ant-oat01-x", "subscription"},
                                       {"Bearer sk-ant-api03-x", "api"},
                                       {"Basic sk-ant-oat01-x", "api"}}) {
    CAPTURE(value);
    Exchange exchange = simple_exchange(kAnthropic, "/v1/messages", "{}", "{}");
    exchange.request.headers.push_back({"authorization", value});
    CHECK(only(meter_exchange(exchange)).billing == billing);
  }
}

TEST_CASE("keys leave a print, and repetitions their number", "[traps]") {
  const KeyPrinter printer(SipKey{});
  const auto record = [&](std::string_view host, std::vector<http::Header> headers,
                          const std::string& target) {
    KeptRecords kept;
    ManualClock clock;
    meter::ConnectionFacts facts;
    facts.host = host;
    facts.key_printer = &printer;
    meter::ConnectionMeter meter(*meter::provider_for_host(facts.host), facts, clock, kept);
    meter.on_request_head(1, {"POST", target, "", "1.1", std::move(headers)});
    meter.on_exchange_end(1, http::EndKind::reset);
    return only(kept);
  };
  const std::string path = "/v1beta/models/g:generateContent";
  const std::string print = printer.print("AIzaKey");
  CHECK(record(kGemini, {{"x-goog-api-key", "AIzaKey"}}, path).key_print == print);
  CHECK(record(kGemini, {}, path + "?alt=sse&key=AIzaKey").key_print == print);
  CHECK(record(kGemini, {{"authorization", "Bearer AIzaKey"}}, path).key_print == print);
  CHECK(record(kGemini, {}, path + "?monkey=AIzaKey").key_print.empty());
  CHECK(record(kOpenAi, {{"x-stainless-retry-count", "2"}}, "/v1/responses").client_retry == 2);
  CHECK_FALSE(record(kOpenAi, {{"x-stainless-retry-count", "x"}}, "/v1/responses").client_retry);
  CHECK_FALSE(record(kOpenAi, {}, "/v1/responses").client_retry);
}

TEST_CASE("a batch of OpenAI is read from its output file", "[traps]") {
  const std::string file =
      R"({"id":"batch_req_1","custom_id":"a","response":{"status_code":200,"request_id":"q1","body":{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-5.5-2026-04-20","choices":[{"index":0,"finish_reason":"stop","message":{"content":"{\"usage\":{\"prompt_tokens\":5}}"}}],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40}},"service_tier":"default"}},"error":null})"
      "\n"
      R"({"id":"batch_req_2","custom_id":"b","response":{"status_code":400,"body":{"error":{"code":"x"}}},"error":null})"
      "\n"
      R"({"id":"batch_req_3","response":{"status_code":200,"body":{"id":"resp_3","object":"response","model":"gpt-5.5","status":"completed","output":[{"type":"web_search_call","action":{"type":"search"}}],"usage":{"input_tokens":7,"output_tokens":8,"output_tokens_details":{"reasoning_tokens":3}}}}})"
      "\nno JSON at all\n"
      R"({"id":"batch_req_4","response":{"status_code":200,"body":{"object":"list","data":[{"embedding":"AAAA"}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}}})";
  Exchange exchange =
      simple_exchange(kOpenAi, "/v1/files/file-abc/content", "", file, "application/octet-stream");
  exchange.request.method = "GET";
  for (const Split& split : standard_splits(file.size())) {
    CAPTURE(split.name);
    const KeptRecords kept = meter_exchange(exchange, {"whole", {1 << 20}}, split);
    REQUIRE(kept.calls.size() == 3);
    const CallRecord& chat = kept.calls[0];
    CHECK(chat.endpoint == "chat.completions");
    CHECK(chat.model == "gpt-5.5-2026-04-20");
    CHECK(chat.response_id == "chatcmpl-1");
    CHECK(chat.mode == "batch");
    CHECK(chat.tokens_complete);
    CHECK(chat.usage.input_tokens == 60);
    CHECK(chat.usage.cache_read_tokens == 40);
    CHECK(kept.calls[1].endpoint == "responses");
    CHECK(kept.calls[1].usage.thinking_tokens == 3);
    CHECK(tool(kept.calls[1], "web_search") == 1);
    CHECK(kept.calls[2].endpoint == "embeddings");
    CHECK(kept.calls[2].request_kind == "embedding");
    CHECK(kept.calls[2].response_id == "batch_req_4");
  }
  // Any other file leaves nothing.
  exchange.response_body = "{\"prompt\":\"x\",\"usage\":{\"prompt_tokens\":5}}\nbinary \x01\x02";
  CHECK(meter_exchange(exchange).calls.empty());
  // Lines that could not be read are told.
  exchange.response_body = file;
  exchange.response.headers.push_back({"content-encoding", "gzip"});
  const KeptRecords lost = meter_exchange(exchange);
  CHECK(lost.calls.empty());
  REQUIRE(lost.misses.size() == 1);
  CHECK(lost.misses[0].reason == "undecodable");
}

}  // namespace hm::test
