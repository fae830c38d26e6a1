// Small pure parts: numbers, errors, headers, routes, multipart.
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "common/base/random_id.h"
#include "interceptor/meter/error_class.h"
#include "interceptor/meter/header_facts.h"
#include "interceptor/meter/json_text.h"
#include "interceptor/meter/json_value.h"
#include "interceptor/meter/multipart.h"
#include "interceptor/meter/provider.h"
#include "interceptor/meter/shape.h"
#include "tests/support/splits.h"

namespace hm::test {

using namespace meter;

TEST_CASE("figures follow the number rules", "[json_value]") {
  const auto figure = [](std::string_view json) { return JsonDocument(json).root().figure(); };
  CHECK(figure("12") == 12);
  CHECK(figure("\"12\"") == 12);
  CHECK(figure("12.9") == 12);
  CHECK(figure("\"12.9\"") == 12);
  CHECK(figure("1e3") == 1000);
  CHECK(figure("-5") == 0);
  CHECK(figure("\"-5\"") == 0);
  CHECK(figure("999999999999999") == 999999999999999);
  for (const char* json : {"true", "null", "\"\"", "\"x\"", "\"1x\"", "{}", "[1]", "1e300", "",
                           "\"nan\"", "\"inf\"", "1 2"}) {
    CAPTURE(json);
    CHECK_FALSE(figure(json));
  }
}

TEST_CASE("views of what is not there are not there", "[json_value]") {
  const JsonDocument document(R"({"a":{"b":[1,{"c":"x"}],"n":null}})");
  const JsonView root = document.root();
  CHECK(root.get("a").get("b").at(1).get("c").text() == "x");
  CHECK_FALSE(root.get("z").get("b").at(1).get("c").text());
  CHECK_FALSE(root.get("a").get("n").exists());
  CHECK(root.get("a").get("b").at(2).figure_or_zero() == 0);
}

TEST_CASE("strings are unescaped", "[json_value]") {
  CHECK(string_of(R"("a\"\\\/\b\f\n\r\t\u00e9\ud83c\udf0a")") ==
        "a\"\\/\b\f\n\r\t\xC3\xA9\xF0\x9F\x8C\x8A");
  CHECK(string_of(R"("\ud83cx")") == "\xEF\xBF\xBDx");
  CHECK_FALSE(string_of(R"("\x")"));
  CHECK_FALSE(string_of(R"("\u12")"));
  CHECK_FALSE(string_of("12"));
}

TEST_CASE("errors are classified by word, then by status", "[error_class]") {
  struct Row {
    std::optional<int> status;
    const char* body;  // value of the `error` key, or empty
    const char* kind;
    const char* locked;
  };
  const Row rows[] = {
      {400, R"({"type":"invalid_request_error","message":"Your credit balance is too low"})",
       "quota", "auth"},
      {400,
       R"({"type":"invalid_request_error","message":"You have reached your specified API usage limits."})",
       "quota", "auth"},
      {400, R"({"type":"invalid_request_error","message":"messages: required"})", "invalid_request",
       "bad_request"},
      {401, R"({"type":"authentication_error"})", "auth", "auth"},
      {402, R"({"type":"billing_error"})", "quota", "auth"},
      {403, R"({"type":"permission_error"})", "auth", "auth"},
      {404, R"({"type":"not_found_error"})", "invalid_request", "bad_request"},
      {409, R"({"type":"conflict_error"})", "invalid_request", "bad_request"},
      {413, R"({"type":"request_too_large"})", "invalid_request", "bad_request"},
      {429, R"({"type":"rate_limit_error","message":"x"})", "rate_limit", "rate_limit"},
      {429,
       R"({"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit_reached"}})",
       "quota", "auth"},
      {500, R"({"type":"api_error"})", "server", "server_error"},
      {504, R"({"type":"timeout_error"})", "server", "timeout"},
      {498, R"({"message":"flex"})", "overloaded", "server_error"},
      {529, R"({"type":"overloaded_error"})", "overloaded", "server_error"},
      {std::nullopt, R"({"type":"overloaded_error"})", "overloaded", "server_error"},
      {std::nullopt, R"({"type":"timeout_error"})", "server", "timeout"},
      {std::nullopt, R"({"type":"something_new"})", "server", "server_error"},
      {400, R"({"type":"invalid_request_error","code":"context_length_exceeded"})",
       "invalid_request", "bad_request"},
      {401, R"({"type":"invalid_request_error","code":"invalid_api_key"})", "auth", "auth"},
      {403, R"({"code":"unsupported_country_region_territory"})", "auth", "auth"},
      {429, R"({"type":"tokens","code":"rate_limit_exceeded"})", "rate_limit", "rate_limit"},
      {429, R"({"type":"insufficient_quota","code":"insufficient_quota"})", "quota", "auth"},
      {429, R"({"code":"credit_balance_exhausted"})", "quota", "auth"},
      {429, R"({"code":"resource_unavailable"})", "overloaded", "server_error"},
      {429, R"({"type":"usage_limit_reached"})", "quota", "auth"},
      {502, "", "server", "server_error"},
      {503, "", "overloaded", "server_error"},
      {524, "", "server", "server_error"},
      {408, "", "network", "timeout"},
      {418, "", "invalid_request", "bad_request"},
      {400, R"({"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]})",
       "auth", "auth"},
      {429,
       R"({"status":"RESOURCE_EXHAUSTED","message":"You exceeded your current quota, plan and billing"})",
       "rate_limit", "rate_limit"},
      {429,
       R"({"status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"RequestsPerDayPerProject"}]}]})",
       "quota", "auth"},
      {429, R"({"status":"RESOURCE_EXHAUSTED","details":[{"reason":"MODEL_CAPACITY_EXHAUSTED"}]})",
       "overloaded", "server_error"},
      {403, R"({"status":"PERMISSION_DENIED","details":[{"reason":"VALIDATION_REQUIRED"}]})",
       "auth", "auth"},
      {499, R"({"status":"CANCELLED"})", "invalid_request", "bad_request"},
      {504, R"({"status":"DEADLINE_EXCEEDED"})", "server", "timeout"},
      {std::nullopt, R"({"code":503,"status":"UNAVAILABLE"})", "overloaded", "server_error"},
      {400, R"("Incorrect API key provided: xa***ne.")", "auth", "auth"},
      {403, R"("Your team has run out of credits")", "quota", "auth"},
      {403, R"("The key is blocked")", "auth", "auth"},
      {429, R"("Too many requests")", "rate_limit", "rate_limit"},
      {429, R"("You have used all available credits or reached your monthly spending limit")",
       "quota", "auth"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.body, row.status.value_or(0));
    ErrorWords error;
    const JsonDocument document(row.body);
    error.add_error(document.root());
    const std::string_view kind = classify_error(error, row.status);
    CHECK(kind == row.kind);
    CHECK(locked_error_class(kind, error, row.status) == row.locked);
  }
}

TEST_CASE("an error keeps a code but no prose", "[error_class]") {
  const auto code = [](std::string_view json) {
    ErrorWords error;
    const JsonDocument document(json);
    error.add_error(document.root());
    return error.code;
  };
  CHECK(code(R"({"type":"a_type","code":"a_code"})") == "a_code");
  CHECK(code(R"({"type":"a_type","code":null})") == "a_type");
  CHECK(code(R"({"status":"RESOURCE_EXHAUSTED","details":[{"reason":"QUOTA_EXHAUSTED"}]})") ==
        "QUOTA_EXHAUSTED");
  CHECK(code(R"({"code":"Incorrect API key: sk-abc","type":"t"})") == "t");
  CHECK(code(R"({"code":"sk-abcdefgh"})").empty());
  CHECK(code(R"({"code":502})") == "502");
  CHECK(code(R"({"code":429,"status":"RESOURCE_EXHAUSTED"})") == "RESOURCE_EXHAUSTED");
}

TEST_CASE("waits come from the body when no header tells", "[error_class]") {
  ErrorWords error;
  const JsonDocument document(R"({"details":[{"retryDelay":"34.07s"}]})");
  error.add_error(document.root());
  CHECK(error.retry_after_s.value() == Approx(34.07));
}

TEST_CASE("reset times in their four forms", "[headers]") {
  constexpr int64_t kNow = 1'800'000'000'000'000;
  CHECK(parse_instant("2026-11-23T22:22:31Z", kNow) == 1795472551'000000);
  CHECK(parse_instant("2026-11-23T22:22:31.25+02:00", kNow) == 1795465351'250000);
  CHECK(parse_instant("1790009999", kNow) == 1790009999'000000);
  CHECK(parse_instant("30", kNow) == kNow + 30'000000);
  CHECK(parse_instant("0", kNow) == kNow);
  CHECK(parse_instant("1m2.5s", kNow) == kNow + 62'500000);
  CHECK(parse_instant("6m0s", kNow) == kNow + 360'000000);
  CHECK(parse_instant("340ms", kNow) == kNow + 340000);
  CHECK(parse_instant("1h", kNow) == kNow + 3600'000000LL);
  for (const char* text : {"", "soon", "12x", "-5", "2026-13-01T00:00:00Z", "2026-11-23T22:22:31",
                           "1e300", "9999999999999999", "1m2", "nan", "2026-11-23T22:22:31+"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_instant(text, kNow));
  }
  CHECK(parse_http_date("Mon, 23 Nov 2026 22:22:31 GMT") == 1795472551'000000);
  CHECK_FALSE(parse_http_date("Mon, 23 Foo 2026 22:22:31 GMT"));
}

TEST_CASE("retry-after in seconds, milliseconds and as a date", "[headers]") {
  constexpr int64_t kNow = 1795472551'000000;
  const auto wait = [](std::vector<http::Header> headers) {
    return retry_after({429, "1.1", std::move(headers)}, kNow);
  };
  CHECK(wait({{"retry-after", "17"}}) == 17.0);
  CHECK(wait({{"retry-after", "17"}, {"retry-after-ms", "780"}}) == 0.78);
  CHECK(wait({{"retry-after", "Mon, 23 Nov 2026 22:23:31 GMT"}}) == 60.0);
  CHECK(wait({{"retry-after", "Mon, 23 Nov 2026 22:21:31 GMT"}}) == 0.0);
  CHECK_FALSE(wait({{"retry-after", "soon"}}));
  CHECK_FALSE(wait({{"retry-after", "-3"}}));
  CHECK_FALSE(wait({}));
}

TEST_CASE("limits are kept by an allow-list", "[headers]") {
  const http::ResponseHead head{200,
                                "1.1",
                                {{"anthropic-ratelimit-tokens-reset", "2026-11-23T22:22:31Z"},
                                 {"x-ratelimit-remaining-tokens", std::string(500, '7')},
                                 {"x-codex-primary-used-percent", "12.5"},
                                 {"x-codex-turn-state", "opaque"},
                                 {"anthropic-organization-id", "org"},
                                 {"set-cookie", "c"},
                                 {"x-ratelimit-secret", "s"},
                                 {"retry-after", "5"}}};
  const auto limits = rate_limits(head, 0);
  REQUIRE(limits.size() == 4);
  CHECK(limits[0].instant_us == 1795472551'000000);
  CHECK(limits[1].value.size() == 200);
  CHECK_FALSE(limits[2].instant_us);
  CHECK(limits[3].instant_us == 5'000000);
}

TEST_CASE("clients are named by their user agent", "[headers]") {
  struct Row {
    const char* agent;
    const char* name;
    const char* version;
  };
  const Row rows[] = {
      {"claude-cli/2.1.330 (external, cli)", "claude-cli", "2.1.330"},
      {"Anthropic/Python 0.40.0", "Anthropic/Python", "0.40.0"},
      {"OpenAI/JS 6.49.0", "OpenAI/JS", "6.49.0"},
      {"codex_cli_rs/0.169.0 (Debian 12; x86_64) xterm", "codex_cli_rs", "0.169.0"},
      {"GeminiCLI/0.56.0/gemini-3-flash-preview (linux; x64; terminal)", "GeminiCLI", "0.56.0"},
      {"curl/8.5.0", "curl", "8.5.0"},
      {"node", "node", ""},
      {"", "", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.agent);
    http::RequestHead head;
    head.headers = {{"user-agent", row.agent}};
    const ClientName client = client_name(head);
    CHECK(client.name == row.name);
    CHECK(client.version == row.version);
  }
}

TEST_CASE("routes", "[provider]") {
  struct Row {
    const char* host;
    const char* method;
    const char* target;
    const char* endpoint;  // empty: no call
    const char* model = "";
    bool upgrade = false;
  };
  constexpr const char* kAnthropic = "api.anthropic.com";
  constexpr const char* kOpenAi = "api.openai.com";
  constexpr const char* kGemini = "generativelanguage.googleapis.com";
  const Row rows[] = {
      {kAnthropic, "POST", "/v1/messages", "messages"},
      {kAnthropic, "POST", "/v1/messages?beta=true", "messages"},
      {kAnthropic, "POST", "/v1/messages/", "messages"},
      {kAnthropic, "POST", "https://api.anthropic.com/v1/messages", "messages"},
      {kAnthropic, "POST", "/v1/chat/completions", "chat.completions"},
      {kAnthropic, "GET", "/v1/messages", ""},
      {kAnthropic, "OPTIONS", "/v1/messages", ""},
      {kAnthropic, "POST", "/v1/messages/batches", ""},
      {kAnthropic, "GET", "/v1/messages/batches/b1/results", "messages.batch_result"},
      {kAnthropic, "POST", "/api/event_logging/batch", ""},
      {kAnthropic, "POST", "/v1/messages/count_tokens?beta=true", "messages.count_tokens"},
      {kOpenAi, "POST", "/v1/responses", "responses"},
      {kOpenAi, "GET", "/v1/responses", "responses", "", true},
      {kOpenAi, "GET", "/v1/responses", ""},
      {kOpenAi, "POST", "/v1/responses", "", "", true},
      {kOpenAi, "GET", "/v1/responses/resp_1?stream=true", "responses"},
      {kOpenAi, "GET", "/v1/responses/resp_1/input_items", ""},
      {kOpenAi, "POST", "/v1/responses/resp_1/cancel", "responses"},
      {kOpenAi, "POST", "/v1/completions", "completions"},
      {kOpenAi, "POST", "/v1/images/variations", "images"},
      {kOpenAi, "POST", "/v1/audio/translations", "audio.transcriptions"},
      {kOpenAi, "GET", "/v1/files/file-1/content", "batch_result"},
      {kOpenAi, "GET", "/v1/files", ""},
      {kOpenAi, "POST", "/v1/files", ""},
      {kOpenAi, "POST", "/v1/batches", ""},
      {kOpenAi, "GET", "/v1/models", ""},
      {kOpenAi, "POST", "/v1/realtime/client_secrets", ""},
      {kOpenAi, "POST", "/v1/moderations", "moderations"},
      {kGemini, "POST", "/v1beta/models/gemini-2.5-pro:generateContent?key=k", "generate_content",
       "gemini-2.5-pro"},
      {kGemini, "POST", "/v1/models/g%2E5%3AstreamGenerateContent", "stream_generate_content",
       "g.5"},
      {kGemini, "POST", "/v1alpha/tunedModels/mine:countTokens", "count_tokens", "mine"},
      {kGemini, "POST", "/v1beta/models/m:predict", "predict", "m"},
      {kGemini, "POST", "/v1beta/models/:generateContent", ""},
      {kGemini, "POST", "/v2/models/m:generateContent", ""},
      {kGemini, "GET", "/v1beta/models", ""},
      {kGemini, "POST", "/v1beta/openai/chat/completions", "chat.completions"},
      {kGemini, "POST", "/v1/openai/embeddings", "embeddings"},
      {kGemini, "POST", "/v1beta/openai/images/generations", "images"},
      {kGemini, "POST", "/v1/models/m:generateContent", "generate_content", "m"},
      {kGemini, "POST", "/v1beta/models/m:batchEmbedContents", "batch_embed_contents", "m"},
      {kGemini, "POST", "/v1beta/models/m:batchGenerateContent", ""},
      {kGemini, "POST", "/v1beta/cachedContents", ""},
      {kGemini, "GET",
       "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=k",
       "live", "", true},
      {kGemini, "GET",
       "//ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=k",
       "live", "", true},
      {"cloudcode-pa.googleapis.com", "POST", "/v1internal:loadCodeAssist", ""},
      {"chatgpt.com", "POST", "/backend-api/conversation", ""},
      {"chatgpt.com", "GET", "/backend-api/codex/models", ""},
      {"chatgpt.com", "POST", "/backend-api/codex/responses/compact", "codex.responses.compact"},
      {"chatgpt.com", "GET", "/backend-api/wham/usage", ""},
      {"api.x.ai", "POST", "/v1/messages", "messages"},
      {"api.x.ai", "POST", "/v1/complete", "completions"},
      {"api.x.ai", "GET", "/v1/responses", "responses", "", true},
      {"api.x.ai", "POST", "/v1/tokenize-text", ""},
      {"api.x.ai", "GET", "/v1/chat/deferred-completion/r1", "chat.completions"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.method, row.target);
    const Provider* provider = provider_for_host(row.host);
    REQUIRE(provider != nullptr);
    const RouteMatch match = match_route(*provider, row.method, row.target, row.upgrade);
    CHECK((match.route == nullptr ? "" : match.route->endpoint) == row.endpoint);
    CHECK(match.model == row.model);
  }
  CHECK(provider_for_host("example.com") == nullptr);
  CHECK(provider_by_name("codex")->id == "openai");
  CHECK(all_providers().size() == 6);
}

TEST_CASE("models, tiers and words are cleaned", "[shape]") {
  CHECK(clean_model("models/gemini-x") == "gemini-x");
  CHECK(clean_model("models/models/x") == "models/x");
  CHECK(clean_model(std::string(300, 'm')).size() == 200);
  CHECK(clean_model(std::string(199, 'm') + "\xC3\xA9").size() == 199);
  CHECK(clean_tier("default") == "standard");
  CHECK(clean_tier("auto").empty());
  CHECK(clean_word("a b").empty());
}

TEST_CASE("multipart fields", "[multipart]") {
  const std::string body =
      "preamble\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
      "\r\n--Bogus\r\nname=\"model\"\r\n\r\nno\r\n"
      "--B\r\ncontent-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n"
      "--B\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n"
      "--B  \r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n--B--\r\nrest";
  for (const Split& split : standard_splits(body.size(), 8)) {
    CAPTURE(split.name);
    Multipart form("multipart/form-data; boundary=\"B\"");
    feed_split(as_bytes(body), split, [&form](Bytes piece) { form.feed(piece); });
    CHECK(form.model() == "whisper-1");
    CHECK(form.stream());
  }
}

TEST_CASE("ids are random UUIDs", "[uuid]") {
  const std::string id = random_uuid();
  CHECK(id.size() == 36);
  CHECK(id[14] == '4');
  CHECK(id != random_uuid());
}

TEST_CASE("ids of rows sort by time", "[uuid]") {
  const std::string id = ordered_uuid();
  CHECK(id.size() == 36);
  CHECK(id[14] == '7');
  const std::string same_ms = ordered_uuid();
  CHECK(id != same_ms);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(id < ordered_uuid());
  const std::string hex = ordered_hex_id();
  CHECK(hex.size() == 32);
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(hex < ordered_hex_id());
}

}  // namespace hm::test
