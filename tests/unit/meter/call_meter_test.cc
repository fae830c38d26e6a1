// What a record says besides the figures of the golden cases: how calls end, what headers tell,
// what must never be in it.
#include <algorithm>
#include <catch2/catch.hpp>

#include "common/base/counters.h"
#include "tests/unit/meter/support.h"

namespace hm::test {
namespace {

using http::EndKind;
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

const std::string kMessage =
    R"({"id":"msg_1","type":"message","model":"claude-x","stop_reason":"end_turn",)"
    R"("usage":{"input_tokens":10,"output_tokens":5}})";

const std::string kStart =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"id":"msg_1","model":"claude-x",)"
    R"("usage":{"input_tokens":10,"output_tokens":1}}})"
    "\n\n";
const std::string kDelta =
    "event: message_delta\n"
    R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}})"
    "\n\n";

std::string text_of(const CallRecord& r) {
  std::string all = r.id + r.call_id + r.provider + r.rate_namespace + r.host + r.model +
                    r.requested_model + r.endpoint + r.mode + r.request_kind + r.transport +
                    r.billing + r.incomplete_reason + r.service_tier + r.geo + r.stop_reason +
                    r.cache_lifetime + r.bucket_doubt + r.error_class + r.error_kind +
                    r.provider_error_code + r.provider_request_id + r.response_id + r.session_id +
                    r.attribution.client_name + r.attribution.client_version;
  for (const RateLimitHeader& limit : r.rate_limits) all += limit.name + limit.value;
  for (const ToolCalls& tool : r.tool_calls) all += tool.name;
  for (const ExtraUsage& extra : r.extra_usage) all += extra.kind + extra.model;
  return all;
}

}  // namespace

TEST_CASE("how an answer ended decides what its counts are worth", "[call_meter]") {
  struct Row {
    const char* what;
    std::string body;
    EndKind end;
    CallStatus status;
    const char* reason;  // empty: complete
    const char* error_kind;
  };
  const std::string cut = kMessage.substr(0, kMessage.size() - 4);
  const Row json[] = {
      {"whole", kMessage, EndKind::complete, CallStatus::success, "", ""},
      {"whole, rude close", kMessage, EndKind::reset, CallStatus::success, "", ""},
      {"cut", cut, EndKind::eof_early, CallStatus::truncated, "truncated", "network"},
      {"cut by a clean close", cut, EndKind::complete, CallStatus::truncated, "truncated",
       "network"},
      {"cut by the client", cut, EndKind::client_abort, CallStatus::cancelled, "client_abort", ""},
      {"no usage", R"({"id":"x"})", EndKind::complete, CallStatus::success, "no_usage_in_response",
       ""},
      {"not JSON", "{]", EndKind::complete, CallStatus::success, "unparsable", ""},
      {"empty", "", EndKind::complete, CallStatus::success, "no_usage_in_response", ""},
      {"nothing", "", EndKind::reset, CallStatus::truncated, "truncated", "network"},
  };
  for (const Row& row : json) {
    CAPTURE(row.what);
    Exchange exchange = simple_exchange(kAnthropic, "/v1/messages", R"({"model":"m"})", row.body);
    exchange.end = row.end;
    const CallRecord record = only(meter_exchange(exchange));
    CHECK(record.status == row.status);
    CHECK(record.incomplete_reason == row.reason);
    CHECK(record.tokens_complete == record.incomplete_reason.empty());
    CHECK(record.error_kind == row.error_kind);
  }
  const Row stream[] = {
      {"whole", kStart + kDelta, EndKind::complete, CallStatus::success, "", ""},
      {"mark seen, reset", kStart + kDelta, EndKind::reset, CallStatus::success, "", ""},
      {"mark seen, client gone", kStart + kDelta, EndKind::client_abort, CallStatus::success, "",
       ""},
      {"no blank line", kStart + kDelta.substr(0, kDelta.size() - 2), EndKind::complete,
       CallStatus::success, "", ""},
      {"no mark", kStart, EndKind::complete, CallStatus::truncated, "truncated", "network"},
      {"no mark, reset", kStart, EndKind::reset, CallStatus::truncated, "truncated", "network"},
      {"no mark, client gone", kStart, EndKind::client_abort, CallStatus::cancelled, "client_abort",
       ""},
      {"error", kStart + "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
       EndKind::complete, CallStatus::error, "stream_error", "overloaded"},
      {"empty", "", EndKind::complete, CallStatus::truncated, "truncated", "network"},
  };
  for (const Row& row : stream) {
    CAPTURE(row.what);
    Exchange exchange =
        simple_exchange(kAnthropic, "/v1/messages", R"({"stream":true})", row.body, kSse);
    exchange.end = row.end;
    const CallRecord record = only(meter_exchange(exchange));
    CHECK(record.status == row.status);
    CHECK(record.incomplete_reason == row.reason);
    CHECK(record.error_kind == row.error_kind);
    CHECK(record.usage.input_tokens == (row.body.empty() ? 0 : 10));
  }
}

TEST_CASE("a request that was never answered", "[call_meter]") {
  for (const EndKind end : {EndKind::reset, EndKind::eof_early, EndKind::client_abort}) {
    KeptRecords kept;
    ManualClock clock;
    meter::ConnectionFacts facts;
    facts.host = kAnthropic;
    meter::ConnectionMeter meter(*meter::provider_for_host(kAnthropic), facts, clock, kept);
    meter.on_request_head(1, {"POST", "/v1/messages", "", "1.1", {}});
    meter.on_request_body(1, as_bytes(R"({"model":"m"})"));
    meter.on_exchange_end(1, end);
    const CallRecord record = only(kept);
    CHECK(record.model == "m");
    CHECK_FALSE(record.ttfb_us);
    CHECK_FALSE(record.http_status);
    CHECK_FALSE(record.tokens_complete);
    const bool client = end == EndKind::client_abort;
    CHECK(record.status == (client ? CallStatus::cancelled : CallStatus::error));
    CHECK(record.error_kind == (client ? "" : "network"));
  }
}

TEST_CASE("times, bytes, headers and attribution", "[call_meter]") {
  KeptRecords kept;
  ManualClock clock;
  const int64_t begin = clock.wall_us();
  meter::ConnectionFacts facts;
  facts.host = kAnthropic;
  facts.call_id = "call-7";
  facts.transport = "h2";
  meter::ConnectionMeter meter(*meter::provider_for_host(kAnthropic), facts, clock, kept);
  meter.on_request_head(1, {"POST",
                            "/v1/messages",
                            "",
                            "2",
                            {{"user-agent", "claude-cli/2.1 (x)"},
                             {"authorization", "Bearer sk-ant-oat01-secret"},
                             {"x-claude-code-session-id", "s-1"}}});
  meter.on_request_body(1, as_bytes(R"({"model":"alias","thinking":{"type":"adaptive"}})"));
  clock.advance_us(500);
  meter.on_request_end(1);
  clock.advance_us(1000);
  meter.on_response_head(1, {200,
                             "2",
                             {{"content-type", "application/json"},
                              {"request-id", "req_1"},
                              {"anthropic-ratelimit-requests-remaining", "49"}}});
  clock.advance_us(2000);
  meter.on_response_body(1, as_bytes(kMessage));
  clock.advance_us(4000);
  facts.attribution.project = "p";
  facts.attribution.client_name = "process";
  meter.on_exchange_end(1, EndKind::complete);
  const CallRecord record = only(kept);
  CHECK(record.requested_at_us == begin);
  CHECK(record.ttfb_us == 3000);
  CHECK(record.duration_us == 7000);
  CHECK(record.bytes_up == 48);
  CHECK(record.bytes_down == static_cast<int64_t>(kMessage.size()));
  CHECK(record.call_id == "call-7");
  CHECK(record.transport == "h2");
  CHECK(record.model == "claude-x");
  CHECK(record.requested_model == "alias");
  CHECK(record.mode == "thinking");
  CHECK(record.billing == "subscription");
  CHECK(record.session_id == "s-1");
  CHECK(record.provider_request_id == "req_1");
  CHECK(record.response_id == "msg_1");
  CHECK(record.rate_limits.size() == 1);
  CHECK(record.attribution.project == "p");
  CHECK(record.attribution.client_name == "claude-cli");
  CHECK(record.attribution.client_version == "2.1");
}

TEST_CASE("the first byte of an answer without a body is its head's", "[call_meter]") {
  const int status = GENERATE(204, 429);
  KeptRecords kept;
  ManualClock clock;
  meter::ConnectionFacts facts;
  facts.host = kAnthropic;
  meter::ConnectionMeter meter(*meter::provider_for_host(kAnthropic), facts, clock, kept);
  meter.on_request_head(1, {"POST", "/v1/messages", "", "1.1", {}});
  meter.on_request_end(1);
  clock.advance_us(1500);
  meter.on_response_head(1, {status, "1.1", {{"content-length", "0"}}});
  clock.advance_us(700);
  meter.on_exchange_end(1, EndKind::complete);
  const CallRecord record = only(kept);
  CHECK(record.ttfb_us == 1500);
  CHECK(record.duration_us == 2200);
  CHECK(record.bytes_down == 0);
}

TEST_CASE("modes and kinds", "[call_meter]") {
  const auto record = [](std::string_view host, std::string_view path, std::string_view body) {
    return only(meter_exchange(simple_exchange(host, path, body, "{}")));
  };
  CHECK(record(kOpenAi, "/v1/chat/completions", R"({"stream":true})").mode == "streaming");
  CHECK(record(kOpenAi, "/v1/chat/completions", R"({"reasoning_effort":"low"})").mode ==
        "thinking");
  CHECK(record(kOpenAi, "/v1/chat/completions", R"({"reasoning_effort":"none"})").mode ==
        "standard");
  CHECK(record(kOpenAi, "/v1/responses", R"({"reasoning":{"effort":"high"}})").mode == "thinking");
  CHECK(record(kAnthropic, "/v1/messages", R"({"thinking":{"type":"disabled"}})").mode ==
        "standard");
  const std::string gemini = "/v1beta/models/g:generateContent";
  CHECK(record(kGemini, gemini, R"({"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}})")
            .mode == "standard");
  CHECK(record(kGemini, gemini, R"({"generationConfig":{"thinkingConfig":{"thinkingBudget":-1}}})")
            .mode == "thinking");
  CHECK(
      record(kGemini, gemini, R"({"generationConfig":{"thinkingConfig":{"includeThoughts":true}}})")
          .mode == "thinking");
  CHECK(record(kOpenAi, "/v1/embeddings", "{}").request_kind == "embedding");
  CHECK(record(kOpenAi, "/v1/images/edits", "{}").request_kind == "image");
  CHECK(record(kOpenAi, "/v1/audio/speech", "{}").request_kind == "audio");
}

TEST_CASE("a plan that is used up is quota", "[call_meter]") {
  Exchange exchange =
      simple_exchange(kAnthropic, "/v1/messages", "{}",
                      R"({"type":"error","error":{"type":"rate_limit_error","message":"limit"}})");
  exchange.response.status = 429;
  CHECK(only(meter_exchange(exchange)).error_kind == "rate_limit");
  exchange.response.headers.push_back({"anthropic-ratelimit-unified-status", "rejected"});
  const CallRecord record = only(meter_exchange(exchange));
  CHECK(record.error_kind == "quota");
  CHECK(record.error_class == "auth");
  CHECK(record.provider_error_code == "rate_limit_error");
  CHECK(record.tokens_complete);
}

TEST_CASE("a body that cannot be decoded or is too large", "[call_meter]") {
  Exchange exchange = simple_exchange(kAnthropic, "/v1/messages", "{}", kMessage);
  exchange.response.headers.push_back({"content-encoding", "gzip"});
  CHECK(only(meter_exchange(exchange)).incomplete_reason == "undecodable");
  exchange.response.headers.back().value = "snappy";
  CHECK(only(meter_exchange(exchange)).incomplete_reason == "undecodable");

  exchange.response.headers.back().value = "gzip";
  exchange.response_body = compress("gzip", std::string(80'000'000, ' '), 80'000'000);
  const CallRecord bomb = only(meter_exchange(exchange));
  CHECK(bomb.incomplete_reason == "too_large");
  CHECK_FALSE(bomb.tokens_complete);

  exchange.response.headers.pop_back();
  exchange.response_body = R"({"x":)" + std::string(300, '[');
  CHECK(only(meter_exchange(exchange)).incomplete_reason == "too_large");
}

TEST_CASE("broken events are passed over", "[call_meter]") {
  const int64_t before = counters::get("meter.json_unparsable").value();
  const std::string junk =
      "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":999}\n\n"
      "data: <html> of more than thirty-two bytes, so that it is skimmed\n\n"
      "data: {} x\n\n"
      "data:\n\n";
  const CallRecord record = only(meter_exchange(
      simple_exchange(kAnthropic, "/v1/messages", "{}", kStart + junk + kDelta, kSse)));
  CHECK(record.tokens_complete);
  CHECK(record.usage.output_tokens == 7);
  CHECK(counters::get("meter.json_unparsable").value() == before + 3);
}

TEST_CASE("content types that are missing or lie a little", "[call_meter]") {
  for (const std::string_view type : {"", "text/plain; charset=utf-8"}) {
    for (const std::string& body : {"\n" + kMessage, kStart + kDelta, "\n " + kStart + kDelta}) {
      const Exchange exchange = simple_exchange(kAnthropic, "/v1/messages", "{}", body, type);
      for (const Split& split : standard_splits(body.size())) {
        CAPTURE(body, split.name);
        CHECK(only(meter_exchange(exchange, {"whole", {9}}, split)).tokens_complete);
      }
    }
  }
  const Exchange plain = simple_exchange(kAnthropic, "/v1/messages", "{}", "  dat", "");
  CHECK(only(meter_exchange(plain)).incomplete_reason == "no_usage_in_response");
}

TEST_CASE("secrets never enter a record", "[redaction]") {
  const std::string secret = "S3CR3T";
  Exchange exchange = simple_exchange(
      kOpenAi, "/v1/chat/completions?key=" + secret + "&access_token=" + secret,
      R"({"model":"gpt","user":"S3CR3T","safety_identifier":"S3CR3T","prompt_cache_key":"S3CR3T","messages":[{"content":"S3CR3T"}],"metadata":{"user_id":"user_S3CR3T_account_S3CR3T_session_S3CR3T"},"tools":[{"headers":{"x":"S3CR3T"}}]})",
      R"({"id":"c1","model":"gpt","choices":[{"message":{"content":"S3CR3T"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1},"system_fingerprint":"S3CR3T"})");
  for (const char* name : {"authorization",
                           "proxy-authorization",
                           "x-api-key",
                           "api-key",
                           "x-goog-api-key",
                           "cookie",
                           "x-oai-attestation",
                           "x-codex-turn-state",
                           "x-codex-turn-metadata",
                           "x-amz-security-token",
                           "sec-websocket-protocol",
                           "sec-websocket-key",
                           "referer",
                           "chatgpt-account-id",
                           "openai-organization",
                           "openai-project",
                           "x-goog-user-project",
                           "x-codex-installation-id",
                           "x-something-token",
                           "x-my-secret"}) {
    exchange.request.headers.push_back({name, "Bearer sk-ant-oat-" + secret});
  }
  for (const char* name : {"set-cookie", "openai-organization", "anthropic-organization-id",
                           "x-error-json", "x-codex-turn-state", "www-authenticate", "location"}) {
    exchange.response.headers.push_back({name, secret});
  }
  exchange.request.headers.push_back({"user-agent", "tool/1"});
  CHECK(text_of(only(meter_exchange(exchange))).find(secret) == std::string::npos);

  exchange.response.status = 401;
  exchange.response_body =
      R"({"error":{"message":"Incorrect API key provided: S3CR3T","type":"invalid_request_error","code":"invalid_api_key"},"code":"The key S3CR3T is wrong"})";
  const CallRecord record = only(meter_exchange(exchange));
  CHECK(record.error_kind == "auth");
  CHECK(record.provider_error_code == "invalid_api_key");
  CHECK(text_of(record).find(secret) == std::string::npos);

  exchange.host = kXai;
  exchange.response.status = 400;
  exchange.response_body =
      R"({"code":"Client specified S3CR3T","error":"Incorrect API key provided: S3CR3T."})";
  CHECK(text_of(only(meter_exchange(exchange))).find(secret) == std::string::npos);

  exchange.host = kGemini;
  exchange.request.target = "/v1beta/models/g:generateContent?key=" + secret;
  CHECK(text_of(only(meter_exchange(exchange))).find(secret) == std::string::npos);
}

TEST_CASE("side traffic, unmetered paths and sockets", "[connection_meter]") {
  const int64_t side = counters::get("meter.side_traffic").value();
  Exchange exchange = simple_exchange(kAnthropic, "/api/event_logging/batch", "{}", "{}");
  KeptRecords kept = meter_exchange(exchange);
  CHECK(kept.calls.empty());
  CHECK(kept.misses.empty());
  CHECK(counters::get("meter.side_traffic").value() == side + 1);

  kept = meter_exchange(
      simple_exchange(kGemini, "/v1beta/models/imagen:predict?key=k", "{}", "12345"));
  CHECK(kept.calls.empty());
  REQUIRE(kept.misses.size() == 1);
  CHECK(kept.misses[0].reason == "unmetered_path");
  CHECK(kept.misses[0].bytes_up == 2);
  CHECK(kept.misses[0].bytes_down == 5);
  CHECK(kept.misses[0].detail == "predict");

  for (const bool upgraded : {true, false}) {
    KeptRecords socket;
    ManualClock clock;
    meter::ConnectionFacts facts;
    facts.host = kGemini;
    meter::ConnectionMeter meter(*meter::provider_for_host(facts.host), facts, clock, socket);
    meter.on_request_head(1, {"GET",
                              "//ws/google.ai.generativelanguage.v1beta.GenerativeService."
                              "BidiGenerateContent?key=k",
                              "",
                              "1.1",
                              {{"upgrade", "WebSocket"}}});
    meter.on_request_end(1);
    meter.on_response_head(1, {upgraded ? 101 : 426, "1.1", {}});
    if (upgraded) {
      meter.on_upgrade(1);
      meter.on_upgraded_bytes(1, true, as_bytes("abc"));
      meter.on_upgraded_bytes(1, false, as_bytes("abcde"));
      clock.advance_us(77);
    }
    meter.on_exchange_end(1, EndKind::complete);
    CHECK(socket.calls.empty());
    REQUIRE(socket.misses.size() == (upgraded ? 1 : 0));
    if (!upgraded) continue;
    CHECK(socket.misses[0].reason == "observer_unread");
    CHECK(socket.misses[0].bytes_up == 3);
    CHECK(socket.misses[0].bytes_down == 5);
    CHECK(socket.misses[0].duration_us == 77);
  }
}

TEST_CASE("many calls at once, and detaching", "[connection_meter]") {
  KeptRecords kept;
  ManualClock clock;
  meter::ConnectionFacts facts;
  facts.host = kAnthropic;
  meter::ConnectionMeter meter(*meter::provider_for_host(kAnthropic), facts, clock, kept);
  for (const http::ExchangeId id : {1U, 3U, 5U}) {
    meter.on_request_head(id, {"POST", "/v1/messages", "", "2", {}});
    meter.on_request_end(id);
    meter.on_response_head(id, {200, "2", {{"content-type", std::string(kSse)}}});
    meter.on_response_body(id, as_bytes(kStart));
  }
  meter.on_response_body(3, as_bytes(kDelta));
  meter.on_exchange_end(3, EndKind::complete);
  CHECK(meter.open_calls() == 2);
  REQUIRE(kept.calls.size() == 1);
  CHECK(kept.calls[0].tokens_complete);
  meter.detach("observer_overload");
  CHECK(meter.open_calls() == 0);
  REQUIRE(kept.calls.size() == 3);
  for (size_t i = 1; i < 3; ++i) {
    CHECK(kept.calls[i].incomplete_reason == "observer_overload");
    CHECK(kept.calls[i].usage.input_tokens == 10);
    CHECK_FALSE(kept.calls[i].tokens_complete);
  }
  // Nothing that comes later counts.
  meter.on_request_head(7, {"POST", "/v1/messages", "", "2", {}});
  meter.on_response_body(1, as_bytes(kDelta));
  meter.on_exchange_end(1, EndKind::complete);
  CHECK(meter.open_calls() == 0);
  CHECK(kept.calls.size() == 3);
}

}  // namespace hm::test
