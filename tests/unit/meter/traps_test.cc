// Traps of the providers' formats, one row each: an answer that looks like another one, and what
// must come of it. The golden cases (tests/golden) cover the shapes; these are the edges.
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
constexpr const char* kCodex = "chatgpt.com";
constexpr const char* kCodeAssist = "cloudcode-pa.googleapis.com";
constexpr std::string_view kSse = "text/event-stream; charset=utf-8";

CallRecord only(const KeptRecords& kept) {
  REQUIRE(kept.misses.empty());
  REQUIRE(kept.calls.size() == 1);
  return kept.calls[0];
}

struct Trap {
  const char* what;
  const char* host;
  const char* path;
  const char* request;
  std::string body;
  bool events;
  // input, cache read, written 5m, written 1h, output, thinking
  std::array<int64_t, 6> figures;
  bool complete = true;
};

CallRecord metered(const Trap& trap, const Split& split) {
  const Exchange exchange = simple_exchange(trap.host, trap.path, trap.request, trap.body,
                                            trap.events ? kSse : "application/json");
  return only(meter_exchange(exchange, {"whole", {1 << 20}}, split));
}

std::string event(const std::string& data) {
  return "data: " + data + "\n\n";
}

// What a prompt or an answer may contain: usage objects and event framing as mere content.
const std::string kDecoy =
    R"("content":[{"type":"text","text":"data: {\"usage\":{\"input_tokens\":999}}\n\n[DONE]"},)"
    R"({"type":"tool_use","input":{"usage":{"input_tokens":888,"output_tokens":777},"model":"decoy"}}],)";

const std::vector<Trap>& traps() {
  static const std::vector<Trap> kTraps =
      {
          // --- Anthropic
          {"first output figure and the last one are not added",
           kAnthropic,
           "/v1/messages",
           R"({"stream":true})",
           event(
               R"({"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":10,"output_tokens":4}}})") +
               event(
                   R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":58}})"),
           true,
           {10, 0, 0, 0, 58, 0}},
          {"a repeated input side replaces, larger after server tools",
           kAnthropic,
           "/v1/messages",
           R"({"stream":true})",
           event(
               R"({"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}}})") +
               event(
                   R"({"type":"message_delta","delta":{"stop_reason":null},"usage":{"input_tokens":70,"output_tokens":20}})") +
               event(
                   R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":90,"cache_read_input_tokens":0,"output_tokens":30}})"),
           true,
           {90, 5, 0, 0, 30, 0}},
          {"null between rounds is no end",
           kAnthropic,
           "/v1/messages",
           R"({"stream":true})",
           event(
               R"({"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}})") +
               event(
                   R"({"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":20}})"),
           true,
           {10, 0, 0, 0, 20, 0},
           false},
          {"an error as the first event",
           kAnthropic,
           "/v1/messages",
           R"({"stream":true})",
           "event: error\n"s + event(R"({"type":"error","error":{"type":"overloaded_error"}})"),
           true,
           {0, 0, 0, 0, 0, 0},
           false},
          {"written tokens beyond the split go to 5 minutes when both parts are used",
           kAnthropic,
           "/v1/messages",
           "{}",
           R"({"type":"message","stop_reason":"end_turn","usage":{"input_tokens":1,"cache_creation_input_tokens":100,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}})",
           false,
           {1, 0, 80, 20, 1, 0}},
          {"a split without a total",
           kAnthropic,
           "/v1/messages",
           "{}",
           R"({"type":"message","stop_reason":"end_turn","usage":{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20},"output_tokens":1}})",
           false,
           {1, 0, 10, 20, 1, 0}},
          {"usage inside content is no usage",
           kAnthropic,
           "/v1/messages",
           "{}",
           R"({"type":"message",)" + kDecoy +
               R"("stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":4}})",
           false,
           {3, 0, 0, 0, 4, 0}},
          {"decimal strings are figures, booleans and objects are not",
           kAnthropic,
           "/v1/messages",
           "{}",
           R"({"type":"message","stop_reason":"end_turn","usage":{"input_tokens":"12","cache_read_input_tokens":true,"output_tokens":7.9,"cache_creation_input_tokens":{"n":5}}})",
           false,
           {12, 0, 0, 0, 7, 0}},
          {"compaction is on top of the message",
           kAnthropic,
           "/v1/messages",
           "{}",
           R"({"type":"message","stop_reason":"end_turn","usage":{"input_tokens":100,"output_tokens":10,"iterations":[{"type":"compaction","input_tokens":500,"output_tokens":50},{"type":"message","input_tokens":100,"output_tokens":10}]}})",
           false,
           {600, 0, 0, 0, 60, 0}},
          {"a count is an answer",
           kAnthropic,
           "/v1/messages/count_tokens",
           "{}",
           R"({"input_tokens":2095})",
           false,
           {0, 0, 0, 0, 0, 0}},
          // --- OpenAI chat
          {"written and cached tokens are inside the prompt",
           kOpenAi,
           "/v1/chat/completions",
           "{}",
           R"({"usage":{"prompt_tokens":4020,"completion_tokens":5,"total_tokens":4025,"prompt_tokens_details":{"cached_tokens":0,"cache_write_tokens":4012}}})",
           false,
           {8, 0, 4012, 0, 5, 0}},
          {"running usage on every chunk: the last counts",
           kOpenAi,
           "/v1/chat/completions",
           R"({"stream":true})",
           event(
               R"({"choices":[{"index":0,"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}})") +
               event(
                   R"({"choices":[{"index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}})"),
           true,
           {9, 0, 0, 0, 8, 0}},
          {"null usage after usage takes nothing back",
           kOpenAi,
           "/v1/chat/completions",
           R"({"stream":true})",
           event(
               R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17}})") +
               event(R"({"choices":[{"index":0,"finish_reason":"stop"}],"usage":null})") +
               "data: [DONE]\n\n",
           true,
           {9, 0, 0, 0, 8, 0}},
          {"an error chunk ends the stream",
           kOpenAi,
           "/v1/chat/completions",
           R"({"stream":true})",
           event(R"({"choices":[{"index":0,"finish_reason":null}]})") +
               event(R"({"error":{"message":"x","type":"server_error","code":null}})"),
           true,
           {0, 0, 0, 0, 0, 0},
           false},
          {"rejected predictions are inside the completion",
           kOpenAi,
           "/v1/chat/completions",
           "{}",
           R"({"usage":{"prompt_tokens":9,"completion_tokens":80,"total_tokens":89,"completion_tokens_details":{"accepted_prediction_tokens":20,"rejected_prediction_tokens":30,"reasoning_tokens":0}}})",
           false,
           {9, 0, 0, 0, 80, 0}},
          {"a total that counts what the prompt leaves out hides no thinking",
           kXai,
           "/v1/chat/completions",
           "{}",
           R"({"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":420,"prompt_tokens_details":{"cached_tokens":300}}})",
           false,
           {100, 300, 0, 0, 20, 0}},
          {"the same with reasoning on top",
           kXai,
           "/v1/chat/completions",
           "{}",
           R"({"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":427,"prompt_tokens_details":{"cached_tokens":300},"completion_tokens_details":{"reasoning_tokens":7}}})",
           false,
           {100, 300, 0, 0, 27, 7}},
          {"xAI may count reasoning inside after all",
           kXai,
           "/v1/chat/completions",
           "{}",
           R"({"usage":{"prompt_tokens":10,"completion_tokens":27,"total_tokens":37,"completion_tokens_details":{"reasoning_tokens":7}}})",
           false,
           {10, 0, 0, 0, 27, 7}},
          {"an empty finish reason is not finished",
           kXai,
           "/v1/chat/completions",
           R"({"stream":true})",
           event(
               R"({"choices":[{"index":0,"finish_reason":""}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}})"),
           true,
           {1, 0, 0, 0, 1, 0},
           false},
          {"legacy completions have the same usage",
           kOpenAi,
           "/v1/completions",
           "{}",
           R"({"choices":[{"text":"x","index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":6,"total_tokens":11}})",
           false,
           {5, 0, 0, 0, 6, 0}},
          // --- OpenAI Responses
          {"there is no gap rule here",
           kOpenAi,
           "/v1/responses",
           "{}",
           R"({"object":"response","status":"completed","usage":{"input_tokens":10,"output_tokens":20,"total_tokens":99}})",
           false,
           {10, 0, 0, 0, 20, 0}},
          {"reasoning is inside, and never more than the output",
           kXai,
           "/v1/responses",
           "{}",
           R"({"object":"response","status":"completed","usage":{"input_tokens":10,"output_tokens":20,"output_tokens_details":{"reasoning_tokens":50},"context_details":{"input_tokens":7777}}})",
           false,
           {10, 0, 0, 0, 20, 20}},
          {"usage before the output of a terminal event",
           kOpenAi,
           "/v1/responses",
           R"({"stream":true})",
           event(R"({"type":"response.created","response":{"id":"r","usage":null}})") +
               event(
                   R"({"type":"response.completed","response":{"usage":{"input_tokens":10,"input_tokens_details":null,"output_tokens":2},"output":[{"type":"message","content":[{"text":"{\"usage\":{\"input_tokens\":1}}"}]}]}})"),
           true,
           {10, 0, 0, 0, 2, 0}},
          {"incomplete is billed and whole",
           kOpenAi,
           "/v1/responses",
           R"({"stream":true})",
           event(
               R"({"type":"response.incomplete","response":{"incomplete_details":{"reason":"max_output_tokens"},"usage":{"input_tokens":10,"output_tokens":2}}})"),
           true,
           {10, 0, 0, 0, 2, 0}},
          {"completed without usage is not complete",
           kCodex,
           "/backend-api/codex/responses",
           R"({"stream":true,"model":"gpt-x"})",
           event(R"({"type":"response.completed","response":{"id":"r","end_turn":true}})"),
           true,
           {0, 0, 0, 0, 0, 0},
           false},
          {"counters of the plan are no tokens",
           kCodex,
           "/backend-api/codex/responses",
           R"({"stream":true,"model":"gpt-x"})",
           event(R"({"type":"codex.rate_limits","rate_limits":{"input_tokens":5}})") +
               event(
                   R"({"type":"response.completed","response":{"id":"r","usage":{"input_tokens":10,"output_tokens":2,"codex_rollout_budget_units":123}}})"),
           true,
           {10, 0, 0, 0, 2, 0}},
          {"a free count",
           kOpenAi,
           "/v1/responses/input_tokens",
           "{}",
           R"({"object":"response.input_tokens","input_tokens":11})",
           false,
           {0, 0, 0, 0, 0, 0}},
          // --- Gemini
          {"thoughts are on top of the candidates, tools on top of the prompt",
           kGemini,
           "/v1beta/models/g:generateContent",
           "{}",
           R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":17,"toolUsePromptTokenCount":119,"candidatesTokenCount":53,"thoughtsTokenCount":725,"totalTokenCount":914}})",
           false,
           {136, 0, 0, 0, 778, 725}},
          {"each field keeps its latest value",
           kGemini,
           "/v1beta/models/g:streamGenerateContent?alt=sse",
           "{}",
           event(
               R"({"usageMetadata":{"promptTokenCount":7,"thoughtsTokenCount":30,"totalTokenCount":37}})") +
               event(
                   R"({"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":4,"totalTokenCount":41}})") +
               event(R"({"candidates":[{"finishReason":"STOP"}]})"),
           true,
           {7, 0, 0, 0, 34, 30}},
          {"figures as strings",
           kGemini,
           "/v1beta/models/g:generateContent",
           "{}",
           R"({"candidates":[{"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":"70","cachedContentTokenCount":"20","candidatesTokenCount":"4"}})",
           false,
           {50, 20, 0, 0, 4, 0}},
          {"a blocked prompt is counted",
           kGemini,
           "/v1beta/models/g:streamGenerateContent",
           "{}",
           R"([{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7}}])",
           false,
           {7, 0, 0, 0, 0, 0}},
          {"an array that was cut",
           kGemini,
           "/v1beta/models/g:streamGenerateContent",
           "{}",
           R"([{"candidates":[{}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2}},)",
           false,
           {7, 0, 0, 0, 2, 0},
           false},
          {"a safety stop is no error",
           kGemini,
           "/v1beta/models/g:generateContent",
           "{}",
           R"({"candidates":[{"finishReason":"SAFETY"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2}})",
           false,
           {7, 0, 0, 0, 2, 0}},
          {"embeddings that tell",
           kGemini,
           "/v1beta/models/g:embedContent",
           "{}",
           R"({"embedding":{"values":[1,2]},"usageMetadata":{"promptTokenCount":9}})",
           false,
           {9, 0, 0, 0, 0, 0}},
          {"the compatible path hides thinking in the total",
           kGemini,
           "/v1beta/openai/chat/completions",
           "{}",
           R"({"usage":{"prompt_tokens":10,"completion_tokens":20,"total_tokens":75}})",
           false,
           {10, 0, 0, 0, 65, 45}},
          {"figures of steps are parts of the total",
           kGemini,
           "/v1beta/interactions",
           R"({"stream":true})",
           event(R"({"event_type":"step.stop","usage":{"total_input_tokens":5,"total_output_tokens":5}})") + event(
                                                                                                                 R"({"event_type":"interaction.completed","interaction":{"id":"i","usage":{"total_input_tokens":10,"total_cached_tokens":4,"total_output_tokens":6,"total_thought_tokens":3,"total_tool_use_tokens":2,"total_tokens":21}}})"),
           true,
           {8, 4, 0, 0, 9, 3}},
          {"usage one level deeper only",
           kCodeAssist,
           "/v1internal:generateContent",
           R"({"model":"g"})",
           R"({"usageMetadata":{"promptTokenCount":999},"response":{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2}}})",
           false,
           {7, 0, 0, 0, 2, 0}},
          {"a chunk with nothing but a trace id",
           kCodeAssist,
           "/v1internal:streamGenerateContent",
           R"({"model":"g"})",
           event(
               R"({"response":{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2}}})") +
               event(R"({"traceId":"t"})"),
           true,
           {7, 0, 0, 0, 2, 0}},
          {"JSON spread over several data lines",
           kCodeAssist,
           "/v1internal:streamGenerateContent",
           R"({"model":"g"})",
           "data: {\"response\":{\"candidates\":[{\"finishReason\":\"STOP\"}],\ndata: "
           "\"usageMetadata\":{\"promptTokenCount\":7,\ndata: \"candidatesTokenCount\":2}}}\n\n",
           true,
           {7, 0, 0, 0, 2, 0}},
      };
  return kTraps;
}

}  // namespace

TEST_CASE("traps of the formats", "[traps]") {
  for (const Trap& trap : traps()) {
    for (const Split& split : standard_splits(trap.body.size())) {
      CAPTURE(trap.what, split.name);
      const CallRecord record = metered(trap, split);
      const Usage& u = record.usage;
      CHECK(std::array{u.input_tokens, u.cache_read_tokens, u.cache_write_5m_tokens,
                       u.cache_write_1h_tokens, u.output_tokens,
                       u.thinking_tokens} == trap.figures);
      CHECK(record.tokens_complete == trap.complete);
      CHECK(record.model != "decoy");
    }
  }
}

}  // namespace hm::test
