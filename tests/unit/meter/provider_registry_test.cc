// Hosts that the configuration adds, and the usage quirks of the services they stand for
// (`providers.md` 10).
#include "interceptor/meter/provider_registry.h"

#include <catch2/catch.hpp>
#include <string>

#include "interceptor/meter/secret_shape.h"
#include "interceptor/meter/shape.h"
#include "tests/unit/meter/support.h"

namespace hm::test {
namespace {

using namespace std::string_literals;
using meter::FurtherHost;
using meter::match_route;
using meter::Provider;
using meter::ProviderRegistry;

FurtherHost host(std::string name, std::string shape, std::string path = {}) {
  FurtherHost further;
  further.host = name + ".example";
  further.rates = name;
  further.name = std::move(name);
  further.shape = std::move(shape);
  further.path = std::move(path);
  return further;
}

std::string endpoint(const Provider& provider, std::string_view target,
                     std::string_view method = "POST") {
  const auto match = match_route(provider, method, target, false);
  return match.route == nullptr ? "" : std::string(match.route->endpoint);
}

// One exchange with a configured host, in every cut; the record must always be the same.
CallRecord metered(const FurtherHost& further, std::string_view target, std::string_view request,
                   const std::string& response, std::string_view type = "application/json",
                   int status = 200) {
  ProviderRegistry registry;
  REQUIRE(registry.add(further).empty());
  const Provider* provider = registry.find(further.host, 443);
  REQUIRE(provider != nullptr);
  Exchange exchange = simple_exchange(further.host, target, request, response, type);
  exchange.response.status = status;
  CallRecord first;
  bool have_first = false;
  for (const Split& split : standard_splits(response.size(), 8)) {
    CAPTURE(split.name);
    const KeptRecords kept = meter_exchange(*provider, exchange, split, split);
    REQUIRE(kept.misses.empty());
    REQUIRE(kept.calls.size() == 1);
    const CallRecord& record = kept.calls[0];
    if (have_first) {
      CHECK(record.usage.input_tokens == first.usage.input_tokens);
      CHECK(record.usage.cache_read_tokens == first.usage.cache_read_tokens);
      CHECK(record.usage.output_tokens == first.usage.output_tokens);
      CHECK(record.tokens_complete == first.tokens_complete);
      CHECK(record.error_kind == first.error_kind);
      CHECK(record.provider_cost_pico_usd == first.provider_cost_pico_usd);
    }
    first = record;
    have_first = true;
  }
  return first;
}

constexpr std::string_view kSse = "text/event-stream";
constexpr std::string_view kStreamed = R"({"stream":true,"messages":[],"model":"asked"})";

}  // namespace

TEST_CASE("a further host has its own name and rates, and paths behind any prefix", "[registry]") {
  ProviderRegistry registry;
  CHECK(registry.find("api.groq.example", 443) == nullptr);
  FurtherHost groq = host("groq", "openai");
  groq.rates = "openai";
  REQUIRE(registry.add(groq).empty());
  const Provider* provider = registry.find("groq.example", 443);
  REQUIRE(provider != nullptr);
  CHECK(provider->id == "groq");
  CHECK(provider->rate_namespace == "openai");
  CHECK(registry.find("groq.example", 8443) == nullptr);
  CHECK(registry.find("api.openai.com", 443) == meter::provider_by_name("openai"));

  for (const char* prefix : {"", "/v1", "/openai/v1", "/api/v1", "/openai/deployments/my-gpt"}) {
    CAPTURE(prefix);
    const auto at = [&](const char* path) { return endpoint(*provider, prefix + ""s + path); };
    CHECK(at("/chat/completions?api-version=2026-01-01") == "chat.completions");
    CHECK(at("/completions") == "completions");
    CHECK(at("/responses") == "responses");
    CHECK(at("/embeddings") == "embeddings");
    CHECK(at("/audio/transcriptions") == "audio.transcriptions");
    CHECK(at("/models").empty());
    CHECK(at("/files").empty());
    CHECK(at("/oauth/token").empty());
  }
  CHECK(endpoint(*provider, "/v1/fim/completions") == "completions");
  CHECK(endpoint(*provider, "/v1/chat/completions", "GET").empty());
}

TEST_CASE("a path of a further host is exact, and may name the model", "[registry]") {
  ProviderRegistry registry;
  REQUIRE(registry.add(host("azure", "openai", "/openai/deployments/{model}")).empty());
  REQUIRE(registry.add(host("azure", "openai", "/openai/v1")).empty());
  REQUIRE(registry.add(host("azure", "anthropic", "/anthropic/v1")).empty());
  const Provider* provider = registry.find("azure.example", 443);
  REQUIRE(provider != nullptr);
  const auto match = match_route(
      *provider, "POST", "/openai/deployments/my-gpt/chat/completions?api-version=1", false);
  REQUIRE(match.route != nullptr);
  CHECK(match.model == "my-gpt");
  CHECK(endpoint(*provider, "/openai/v1/responses") == "responses");
  CHECK(endpoint(*provider, "/anthropic/v1/messages") == "messages");
  CHECK(endpoint(*provider, "/anthropic/v1/messages/count_tokens") == "messages.count_tokens");
  CHECK(endpoint(*provider, "/v1/chat/completions").empty());
}

TEST_CASE("anthropic and gemini shapes on further hosts", "[registry]") {
  ProviderRegistry registry;
  REQUIRE(registry.add(host("a", "anthropic")).empty());
  REQUIRE(registry.add(host("g", "gemini")).empty());
  const Provider* a = registry.find("a.example", 443);
  const Provider* g = registry.find("g.example", 443);
  REQUIRE((a != nullptr && g != nullptr));
  CHECK(endpoint(*a, "/v1/messages?beta=true") == "messages");
  CHECK(endpoint(*a, "/api/v1/messages") == "messages");
  CHECK(endpoint(*a, "/v1/threads/t1/messages").empty());
  const auto match =
      match_route(*g, "POST", "/v1beta/models/gemini-x:streamGenerateContent?alt=sse", false);
  REQUIRE(match.route != nullptr);
  CHECK(match.model == "gemini-x");
  CHECK(endpoint(*g, "/v1/models/x:countTokens") == "count_tokens");
}

TEST_CASE("what cannot be added says why", "[registry]") {
  ProviderRegistry registry;
  CHECK_FALSE(registry.add(host("x", "soap")).empty());
  FurtherHost known = host("x", "openai");
  known.host = "api.openai.com";
  CHECK_FALSE(registry.add(known).empty());
  known.port = 8443;
  CHECK(registry.add(known).empty());
  CHECK(registry.find("api.openai.com", 8443)->id == "x");
  CHECK(registry.find("api.openai.com", 443)->id == "openai");
  REQUIRE(registry.add(host("y", "openai")).empty());
  FurtherHost other = host("y", "anthropic");
  other.rates = "anthropic";
  CHECK_FALSE(registry.add(other).empty());
}

TEST_CASE("groq: usage of a stream under x_groq, without being asked", "[registry]") {
  const std::string body =
      R"(data: {"id":"c1","model":"llama-x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"x_groq":{"id":"req_1"}})"
      "\n\n"
      R"(data: {"id":"c1","model":"llama-x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.0312,"prompt_tokens":40,"prompt_time":0.001,"completion_tokens":30,"completion_time":0.05,"total_tokens":70,"total_time":0.06,"prompt_tokens_details":{"cached_tokens":16},"completion_tokens_details":{"reasoning_tokens":12}}}})"
      "\n\ndata: [DONE]\n\n";
  const CallRecord record =
      metered(host("groq", "openai"), "/openai/v1/chat/completions", kStreamed, body, kSse);
  CHECK(record.provider == "groq");
  CHECK(record.model == "llama-x");
  CHECK(record.usage.input_tokens == 24);
  CHECK(record.usage.cache_read_tokens == 16);
  CHECK(record.usage.output_tokens == 30);
  CHECK(record.usage.thinking_tokens == 12);
  CHECK(record.tokens_complete);
  CHECK(record.provider_cost_pico_usd == std::nullopt);
}

TEST_CASE("groq: asked for, the usage comes twice and counts once", "[registry]") {
  const std::string body =
      R"(data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}}})"
      "\n\n"
      R"(data: {"id":"c1","model":"m","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}})"
      "\n\ndata: [DONE]\n\n";
  const CallRecord record =
      metered(host("groq", "openai"), "/openai/v1/chat/completions", kStreamed, body, kSse);
  CHECK(record.usage.input_tokens == 4);
  CHECK(record.usage.output_tokens == 3);
  CHECK(record.tokens_complete);
}

TEST_CASE("mistral: usage in the last content chunk, spoken prompts by the minute", "[registry]") {
  const std::string head =
      R"(data: {"id":"m1","model":"mistral-x","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]})"
      "\n\n"
      R"(data: {"id":"m1","model":"mistral-x","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"total_tokens":14,"completion_tokens":5)";
  const std::string tail = "}}\n\ndata: [DONE]\n\n";
  CallRecord record = metered(host("mistral", "openai"), "/v1/chat/completions", kStreamed,
                              head + R"(,"prompt_audio_seconds":{})" + tail, kSse);
  CHECK(record.usage.input_tokens == 9);
  CHECK(record.usage.output_tokens == 5);
  CHECK(record.tokens_complete);
  CHECK(record.bucket_doubt.empty());
  record = metered(host("mistral", "openai"), "/v1/chat/completions", kStreamed,
                   head + R"(,"prompt_audio_seconds":31)" + tail, kSse);
  CHECK(record.bucket_doubt == "per_minute");
  record =
      metered(host("mistral", "openai"), "/v1/chat/completions", "{}",
              R"({"object":"error","message":"Unauthorized","type":"invalid_api_key","code":"1"})",
              "application/json", 401);
  CHECK(record.error_kind == "auth");
  record = metered(host("mistral", "openai"), "/v1/chat/completions", "{}",
                   R"({"detail":[{"type":"missing","loc":["body","messages"]}]})",
                   "application/json", 422);
  CHECK(record.error_kind == "invalid_request");
}

TEST_CASE("deepseek: cache hits by their own name, comments and blank lines while waiting",
          "[registry]") {
  const std::string usage =
      R"("usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36,"completion_tokens_details":{"reasoning_tokens":7}})";
  const std::string json =
      R"({"id":"d1","model":"deepseek-x","choices":[{"index":0,"finish_reason":"stop","message":{"content":"x"}}],)" +
      usage + "}";
  const auto check = [](const CallRecord& record) {
    CHECK(record.usage.input_tokens == 36);
    CHECK(record.usage.cache_read_tokens == 64);
    CHECK(record.usage.output_tokens == 20);
    CHECK(record.usage.thinking_tokens == 7);
    CHECK(record.tokens_complete);
  };
  check(metered(host("deepseek", "openai"), "/chat/completions", "{}", json));
  check(metered(host("deepseek", "openai"), "/chat/completions", "{}", "\n\n\n\n" + json));
  const std::string stream =
      ": keep-alive\n\n: keep-alive\n\n"
      R"(data: {"id":"d1","model":"deepseek-x","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}],"usage":null})"
      "\n\n: keep-alive\n\n"
      R"(data: {"id":"d1","model":"deepseek-x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],)" +
      usage + "}\n\ndata: [DONE]\n\n";
  check(metered(host("deepseek", "openai"), "/v1/chat/completions", kStreamed, stream, kSse));
  const CallRecord broke = metered(
      host("deepseek", "openai"), "/chat/completions", "{}",
      R"({"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}})",
      "application/json", 402);
  CHECK(broke.error_kind == "quota");
}

TEST_CASE("openrouter: its own bill, comments, errors with a number", "[registry]") {
  const auto answer = [](const std::string& cost) {
    return R"({"id":"gen-1","provider":"Elsewhere","model":"vendor/model-x","choices":[{"index":0,"finish_reason":"stop","message":{}}],)"s +
           R"("usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":30,"cache_write_tokens":10},"completion_tokens_details":{"reasoning_tokens":8},)" +
           cost + "}}";
  };
  const FurtherHost router = host("openrouter", "openai");
  const std::string path = "/api/v1/chat/completions";
  CallRecord record =
      metered(router, path, "{}",
              answer(R"("cost":0.00014265,"cost_details":{"upstream_inference_cost":null})"));
  CHECK(record.provider == "openrouter");
  CHECK(record.model == "vendor/model-x");
  CHECK(record.usage.input_tokens == 60);
  CHECK(record.usage.cache_read_tokens == 30);
  CHECK(record.usage.cache_write_5m_tokens == 10);
  CHECK(record.usage.output_tokens == 20);
  CHECK(record.provider_cost_pico_usd == 142'650'000);
  record = metered(router, path, "{}",
                   answer(R"("cost":1.5e-6,"is_byok":true,)"
                          R"("cost_details":{"upstream_inference_cost":0.00003})"));
  CHECK(record.provider_cost_pico_usd == 31'500'000);
  for (const char* odd : {R"("cost":-1)", R"("cost":null)", R"("cost":"a lot")",
                          R"("cost":{"total":3})", R"("cost":1e30)"}) {
    CAPTURE(odd);
    CHECK(metered(router, path, "{}", answer(odd)).provider_cost_pico_usd == std::nullopt);
  }
  const std::string stream =
      ": OPENROUTER PROCESSING\n\n"
      R"(data: {"id":"gen-1","model":"vendor/model-x","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]})"
      "\n\n"
      R"(data: {"id":"gen-1","model":"vendor/model-x","error":{"code":502,"message":"Provider disconnected"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]})"
      "\n\ndata: [DONE]\n\n";
  record = metered(router, path, kStreamed, stream, kSse);
  CHECK(record.error_kind == "server");
  CHECK(record.provider_error_code == "502");
  CHECK_FALSE(record.tokens_complete);
  CHECK(record.http_status == 200);
}

TEST_CASE("azure: the first chunk without choices is not the usage chunk", "[registry]") {
  const std::string body =
      R"(data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]})"
      "\n\n"
      R"(data: {"id":"z1","model":"gpt-5-mini-2025-08-07","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]})"
      "\n\n";
  const std::string rest =
      R"(data: {"id":"z1","model":"gpt-5-mini-2025-08-07","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"
      "\n\n"
      R"(data: {"id":"z1","model":"gpt-5-mini-2025-08-07","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}})"
      "\n\ndata: [DONE]\n\n";
  const FurtherHost azure = host("azure", "openai", "/openai/deployments/{model}");
  const std::string path = "/openai/deployments/my-gpt/chat/completions?api-version=2026-01-01";
  CallRecord record = metered(azure, path, R"({"stream":true})", body + rest, kSse);
  CHECK(record.requested_model == "my-gpt");
  CHECK(record.model == "gpt-5-mini-2025-08-07");
  CHECK(record.usage.input_tokens == 9);
  CHECK(record.tokens_complete);
  record = metered(azure, path, R"({"stream":true})", body, kSse);
  CHECK_FALSE(record.tokens_complete);
}

TEST_CASE("moderations are free calls with a record", "[registry]") {
  const KeptRecords kept = meter_exchange(simple_exchange(
      "api.openai.com", "/v1/moderations", R"({"input":"x"})",
      R"({"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":false}]})"));
  REQUIRE(kept.calls.size() == 1);
  CHECK(kept.calls[0].endpoint == "moderations");
  CHECK(kept.calls[0].model == "omni-moderation-latest");
  CHECK(kept.calls[0].tokens_complete);
  CHECK(kept.calls[0].usage.prompt_tokens() == 0);
}

TEST_CASE("secrets are told by how they begin; ordinary words are not secrets", "[secrets]") {
  using meter::looks_like_secret;
  for (const char* secret :
       {"sk-ant-api03-abcdefgh", "sk-proj-0123456789", "key=sk-abcdefghij", "sess-0123456789abcdef",
        "AIzaSyA0123456789abcdef", "ya29.a0AfH6SMBx", "xai-0123456789abcdefgh",
        "gsk_0123456789abcdefgh", "AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefghij",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6.eyJ9.x", "-----BEGIN PRIVATE KEY-----"}) {
    CAPTURE(secret);
    CHECK(looks_like_secret(secret));
    CHECK(meter::clean_word(secret).empty());
  }
  for (const char* word : {"task-0123456789", "sk-8", "req_011CSHoEeqs5C35K2UUqR7Fy",
                           "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "msg_01XFDUDYJgAACzvnptvVoYEL",
                           "model_not_found", "risk-assessment-xai-models", "xai-grok"}) {
    CAPTURE(word);
    CHECK_FALSE(looks_like_secret(word));
  }
}

}  // namespace hm::test
