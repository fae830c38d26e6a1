// Turns on sockets: pairing, ends, errors, warm-ups, bytes and times.
#include <catch2/catch.hpp>

#include "tests/support/websocket_encode.h"
#include "tests/unit/meter/socket_support.h"

namespace hm::test {
namespace {

using http::EndKind;

constexpr const char* kOpenAi = "api.openai.com";

SocketLine up(std::string text) {
  return {true, std::move(text)};
}
SocketLine down(std::string text) {
  return {false, std::move(text)};
}
SocketLine create(const std::string& more = "") {
  return up(R"({"type":"response.create","model":"gpt-5.5")" + more + "}");
}
SocketLine created(const std::string& id, const std::string& more = "") {
  return down(R"({"type":"response.created")" + more + R"(,"response":{"id":")" + id + R"("}})");
}
SocketLine completed(const std::string& id, int input, int output, const std::string& more = "") {
  return down(R"({"type":"response.completed")" + more + R"(,"response":{"id":")" + id +
              R"(","usage":{"input_tokens":)" + std::to_string(input) + R"(,"output_tokens":)" +
              std::to_string(output) + "}}}");
}

Socket responses(std::vector<SocketLine> lines, EndKind end = EndKind::client_abort) {
  Socket socket;
  socket.host = kOpenAi;
  socket.target = "/v1/responses";
  socket.lines = std::move(lines);
  socket.end = end;
  return socket;
}

Socket realtime(std::vector<SocketLine> lines, std::string_view query = "") {
  Socket socket = responses(std::move(lines));
  socket.target = "/v1/realtime" + std::string(query);
  return socket;
}

}  // namespace

TEST_CASE("a turn's record is told in full", "[socket]") {
  const SocketLine ask = create(R"(,"reasoning":{"effort":"high"})");
  Socket socket = responses({ask, created("resp_1"),
                             down(R"({"type":"response.output_text.delta","delta":"x"})"),
                             completed("resp_1", 30, 4)});
  socket.request_headers = {{"user-agent", "codex_cli_rs/0.169.0 (Linux)"},
                            {"authorization", "Bearer sk-secret"}};
  socket.extended_connect = GENERATE(false, true);
  const KeptRecords kept = meter_socket(socket);
  REQUIRE(kept.calls.size() == 1);
  const CallRecord& record = kept.calls[0];
  CHECK(record.provider == "openai");
  CHECK(record.host == kOpenAi);
  CHECK(record.call_id == "c1");
  CHECK(record.endpoint == "responses");
  CHECK(record.model == "gpt-5.5");
  CHECK(record.requested_model == "gpt-5.5");
  CHECK(record.transport == "ws");
  CHECK(record.stream);
  CHECK(record.mode == "thinking");
  CHECK(record.billing == "api");
  CHECK(record.response_id == "resp_1");
  CHECK(record.status == CallStatus::success);
  CHECK(record.http_status == (socket.extended_connect ? 200 : 101));
  CHECK(record.tokens_complete);
  CHECK(record.usage.input_tokens == 30);
  CHECK(record.usage.output_tokens == 4);
  CHECK(record.attribution.client_version == "0.169.0");
  CHECK(record.duration_us == 1000);
  CHECK(record.ttfb_us == 1000);
  CHECK(record.bytes_up == static_cast<int64_t>(message_frames(ask.text, true, false).size()));
  int64_t down_bytes = 0;
  for (size_t i = 1; i < socket.lines.size(); ++i) {
    down_bytes += static_cast<int64_t>(message_frames(socket.lines[i].text, false, false).size());
  }
  CHECK(record.bytes_down == down_bytes);
  CHECK(kept.misses.empty());
}

TEST_CASE("turns are paired", "[socket]") {
  struct Row {
    const char* name;
    std::vector<SocketLine> lines;
    std::vector<std::pair<std::string, int64_t>> expected;  // response id and input, in order
  };
  const std::string a = R"(,"stream_id":"a")";
  const std::string b = R"(,"stream_id":7)";
  const std::vector<Row> rows = {
      {"one after the other",
       {create(), created("r1"), completed("r1", 1, 1), create(), created("r2"),
        completed("r2", 2, 1)},
       {{"r1", 1}, {"r2", 2}}},
      {"asked ahead",
       {create(), create(), created("r1"), completed("r1", 1, 1), created("r2"),
        completed("r2", 2, 1)},
       {{"r1", 1}, {"r2", 2}}},
      {"by response id, finished in another order",
       {create(), create(), created("r1"), created("r2"), completed("r2", 2, 1),
        completed("r1", 1, 1)},
       {{"r2", 2}, {"r1", 1}}},
      {"by stream id",
       {create(a), create(b), created("r2", b), created("r1", a), completed("r1", 1, 1, a),
        completed("r2", 2, 1, b)},
       {{"r1", 1}, {"r2", 2}}},
      {"without a created event", {create(), completed("r1", 1, 1)}, {{"r1", 1}}},
      {"told twice", {create(), completed("r1", 1, 1), completed("r1", 1, 1)}, {{"r1", 1}}},
      {"without a create", {created("r9"), completed("r9", 9, 1)}, {{"r9", 9}}},
      {"warm-up",
       {create(R"(,"generate":false)"), created("w"), completed("w", 0, 0), create(),
        completed("r1", 1, 1)},
       {{"r1", 1}}},
      {"warm-up without usage",
       {create(R"(,"generate":false)"),
        down(R"({"type":"response.completed","response":{"id":"w"}})"), create(),
        completed("r1", 1, 1)},
       {{"r1", 1}}},
      {"warm-up that was charged",
       {create(R"(,"generate":false)"), completed("w", 5, 0)},
       {{"w", 5}}},
      {"warm-up that never ended", {create(R"(,"generate":false)"), created("w")}, {}},
      {"other events",
       {create(), down(R"({"type":"codex.rate_limits","plan_type":"plus"})"), created("r1"),
        down(R"({"type":"response.metadata"})"), completed("r1", 1, 1),
        down(R"({"type":"responsesapi.websocket_timing"})")},
       {{"r1", 1}}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const KeptRecords kept = meter_socket(responses(row.lines));
    REQUIRE(kept.calls.size() == row.expected.size());
    for (size_t i = 0; i < row.expected.size(); ++i) {
      CHECK(kept.calls[i].response_id == row.expected[i].first);
      CHECK(kept.calls[i].usage.input_tokens == row.expected[i].second);
      CHECK(kept.calls[i].tokens_complete);
    }
  }
}

TEST_CASE("a record is pushed when its turn ends", "[socket]") {
  KeptRecords kept;
  ManualClock clock;
  meter::ConnectionFacts facts;
  facts.host = kOpenAi;
  meter::ConnectionMeter meter(*meter::provider_for_host(facts.host), facts, clock, kept);
  meter.on_request_head(1, {"GET", "/v1/responses", "", "1.1", {{"upgrade", "websocket"}}});
  meter.on_response_head(1, {101, "1.1", {}});
  meter.on_upgrade(1);
  const auto say = [&meter](const SocketLine& line) {
    const std::string wire = message_frames(line.text, line.from_client, false);
    meter.on_upgraded_bytes(1, line.from_client, as_bytes(wire));
  };
  say(create());
  CHECK(meter.open_calls() == 1);
  say(completed("r1", 1, 1));
  CHECK(meter.open_calls() == 0);
  CHECK(kept.calls.size() == 1);
  say(create());
  meter.detach("observer_overload");
  REQUIRE(kept.calls.size() == 2);
  CHECK(!kept.calls[1].tokens_complete);
  CHECK(kept.calls[1].incomplete_reason == "observer_overload");
  CHECK(meter.open_calls() == 0);
}

TEST_CASE("open turns at a socket's end", "[socket]") {
  const std::string normal("\x03\xe8", 2);
  const SocketLine client_close{true, frame(8, normal, {true, true, 0}), true};
  const SocketLine origin_close{false, frame(8, normal), true};
  const SocketLine origin_fails{false, frame(8, std::string("\x03\xf3", 2) + "oops"), true};
  const SocketLine origin_says_nothing{false, frame(8, ""), true};
  struct Row {
    const char* name;
    std::vector<SocketLine> more;
    EndKind end;
    bool by_client;
    const char* code = "";
  };
  const std::vector<Row> rows = {
      {"the client hangs up", {}, EndKind::client_abort, true},
      {"the origin hangs up", {}, EndKind::complete, false},
      {"cut", {}, EndKind::eof_early, false},
      {"reset", {}, EndKind::reset, false},
      {"the client closes", {client_close, origin_close}, EndKind::complete, true},
      {"the origin closes",
       {origin_close, client_close},
       EndKind::client_abort,
       false,
       "close_1000"},
      {"the origin fails", {origin_fails}, EndKind::complete, false, "close_1011"},
      {"without a code", {origin_says_nothing}, EndKind::complete, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    std::vector<SocketLine> lines = {create(), created("r1")};
    lines.insert(lines.end(), row.more.begin(), row.more.end());
    const KeptRecords kept = meter_socket(responses(lines, row.end));
    REQUIRE(kept.calls.size() == 1);
    const CallRecord& record = kept.calls[0];
    CHECK(!record.tokens_complete);
    CHECK(record.error_kind == (row.by_client ? "" : "network"));
    CHECK(record.error_class == (row.by_client ? "" : "network"));
    CHECK(record.status == (row.by_client ? CallStatus::cancelled : CallStatus::truncated));
    CHECK(record.incomplete_reason == (row.by_client ? "client_abort" : "truncated"));
    CHECK(record.provider_error_code == row.code);
    CHECK(record.response_id == "r1");
    CHECK(record.model == "gpt-5.5");
  }
}

TEST_CASE("errors on a socket", "[socket]") {
  struct Row {
    const char* name;
    std::vector<SocketLine> answers;
    std::string kind;
    std::optional<int> status;
    bool complete;
  };
  const std::vector<Row> rows = {
      {"wrapped",
       {down(R"({"type":"error","status":429,"error":{"type":"rate_limit_error",)"
             R"("code":"rate_limit_exceeded"},"headers":{"retry-after":"7"}})")},
       "rate_limit",
       429,
       true},
      {"wrapped, other name of the status",
       {down(R"({"type":"error","status_code":503,"error":{"message":"busy"}})")},
       "overloaded",
       503,
       true},
      {"wrapped, after it began",
       {created("r1"), down(R"({"type":"error","status":500,"error":{"type":"server_error"}})")},
       "server",
       500,
       true},
      {"an event before the response began",
       {down(R"({"type":"error","error":{"code":"previous_response_not_found",)"
             R"("type":"invalid_request_error"}})")},
       "invalid_request",
       101,
       false},
      {"an event, then failed",
       {created("r1"), down(R"({"type":"error","code":"server_is_overloaded","message":"no"})"),
        down(R"({"type":"response.failed","response":{"id":"r1","error":{"code":)"
             R"("server_is_overloaded"}}})")},
       "overloaded",
       101,
       false},
      {"failed with usage",
       {down(R"({"type":"response.failed","response":{"id":"r1","error":{"code":"server_error"},)"
             R"("usage":{"input_tokens":3,"output_tokens":0}}})")},
       "server",
       101,
       true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    std::vector<SocketLine> lines = {create()};
    lines.insert(lines.end(), row.answers.begin(), row.answers.end());
    // The socket goes on.
    lines.push_back(create());
    lines.push_back(completed("r2", 2, 2));
    const KeptRecords kept = meter_socket(responses(lines));
    REQUIRE(kept.calls.size() == 2);
    CHECK(kept.calls[0].status == CallStatus::error);
    CHECK(kept.calls[0].error_kind == row.kind);
    CHECK(kept.calls[0].http_status == row.status);
    CHECK(kept.calls[0].tokens_complete == row.complete);
    if (row.status == 429) CHECK(kept.calls[0].retry_after_s == 7);
    CHECK(kept.calls[1].response_id == "r2");
    CHECK(kept.calls[1].error_kind.empty());
    CHECK(kept.calls[1].http_status == 101);
  }
  // Nobody's error.
  CHECK(meter_socket(responses({down(R"({"type":"error","status":400,"error":{"code":)"
                                     R"("websocket_connection_limit_reached"}})")}))
            .calls.empty());
}

TEST_CASE("the model of a turn", "[socket]") {
  Socket socket = responses({up(R"({"type":"response.create"})"), completed("r1", 1, 1)});
  socket.response_headers = {{"openai-model", "gpt-5.5-served"}};
  CHECK(meter_socket(socket).calls.at(0).model == "gpt-5.5-served");

  socket.lines[0] = create();
  CHECK(meter_socket(socket).calls.at(0).model == "gpt-5.5");
  // Codex tells where it was routed to, for what the socket began with.
  socket.host = "chatgpt.com";
  socket.target = "/backend-api/codex/responses";
  socket.lines.push_back(up(R"({"type":"response.create","model":"gpt-5.5-mini"})"));
  socket.lines.push_back(completed("r2", 1, 1));
  const KeptRecords kept = meter_socket(socket);
  REQUIRE(kept.calls.size() == 2);
  CHECK(kept.calls[0].model == "gpt-5.5-served");
  CHECK(kept.calls[0].requested_model == "gpt-5.5");
  CHECK(kept.calls[0].billing == "subscription");
  CHECK(kept.calls[1].model == "gpt-5.5-mini");

  socket.host = "api.x.ai";
  socket.target = "/v1/responses";
  CHECK(meter_socket(socket).calls.at(0).provider == "xai");
}

TEST_CASE("realtime sessions", "[socket]") {
  const std::string done =
      R"({"type":"response.done","response":{"id":"r1","status":"STATUS","status_details":DETAILS,)"
      R"("usage":{"input_tokens":100,"output_tokens":9,"input_token_details":{"audio_tokens":60,)"
      R"("cached_tokens":40,"cached_tokens_details":{"audio_tokens":20}},)"
      R"("output_token_details":{"audio_tokens":5}}}})";
  const auto said = [&done](const std::string& status, const std::string& details) {
    std::string text = done;
    text.replace(text.find("STATUS"), 6, status);
    text.replace(text.find("DETAILS"), 7, details);
    return down(text);
  };
  KeptRecords kept = meter_socket(realtime(
      {up(R"({"type":"response.create"})"), said("failed", R"({"error":{"code":"server_error"}})")},
      "?model=gpt-realtime%2D2&x=1"));
  REQUIRE(kept.calls.size() == 1);
  CHECK(kept.calls[0].model == "gpt-realtime-2");
  CHECK(kept.calls[0].endpoint == "realtime");
  CHECK(kept.calls[0].request_kind == "audio");
  CHECK(kept.calls[0].error_kind == "server");
  CHECK(kept.calls[0].tokens_complete);
  const Usage& usage = kept.calls[0].usage;
  CHECK(usage.input_tokens == 60);
  CHECK(usage.cache_read_tokens == 40);
  REQUIRE(usage.parts.size() == 3);
  CHECK(usage.parts[0].bucket == "cache_read_audio");
  CHECK(usage.parts[0].tokens == 20);
  CHECK(usage.parts[1].bucket == "input_audio");
  CHECK(usage.parts[1].tokens == 40);
  CHECK(usage.parts[2].bucket == "output_audio");
  CHECK(usage.parts[2].tokens == 5);

  // The session's model, a turn that the server began, transcription beside it, and errors that
  // belong to no response.
  kept = meter_socket(realtime(
      {down(R"({"type":"session.created","session":{"model":"gpt-rt","audio":{"input":)"
            R"({"transcription":{"model":"gpt-4o-transcribe"}}}}})"),
       down(R"({"type":"error","error":{"type":"invalid_request_error","event_id":"e7"}})"),
       created("r1"),
       down(R"({"type":"conversation.item.input_audio_transcription.completed","usage":)"
            R"({"type":"tokens","input_tokens":14,"output_tokens":3,"input_token_details":)"
            R"({"audio_tokens":14}}})"),
       said("completed", "null")}));
  REQUIRE(kept.calls.size() == 1);
  CHECK(kept.calls[0].model == "gpt-rt");
  CHECK(kept.calls[0].error_kind.empty());
  REQUIRE(kept.calls[0].extra_usage.size() == 1);
  CHECK(kept.calls[0].extra_usage[0].kind == "input_transcription");
  CHECK(kept.calls[0].extra_usage[0].model == "gpt-4o-transcribe");
  CHECK(kept.calls[0].extra_usage[0].usage.input_tokens == 14);

  // A create that was refused, by the name of its event.
  kept = meter_socket(realtime(
      {up(R"({"type":"response.create","event_id":"e1"})"),
       down(R"({"type":"error","error":{"type":"invalid_request_error","event_id":"e0"}})"),
       down(R"({"type":"error","error":{"type":"invalid_request_error","event_id":"e1"}})")}));
  REQUIRE(kept.calls.size() == 1);
  CHECK(kept.calls[0].error_kind == "invalid_request");

  // Transcription alone.
  kept = meter_socket(realtime(
      {down(R"({"type":"session.updated","session":{"input_audio_transcription":{"model":"t"}}})"),
       down(R"({"type":"conversation.item.input_audio_transcription.completed","usage":)"
            R"({"input_tokens":14,"output_tokens":3}})")}));
  REQUIRE(kept.calls.size() == 1);
  CHECK(kept.calls[0].extra_usage.size() == 1);
  CHECK(kept.calls[0].usage.input_tokens == 0);

  // Transcription that is charged by its length: no figure tells it, so the next record says that
  // something is missing.
  const auto by_length =
      down(R"({"type":"conversation.item.input_audio_transcription.completed","usage":)"
           R"({"type":"duration","seconds":7}})");
  kept = meter_socket(realtime({up(R"({"type":"response.create"})"), created("r1"), by_length,
                                by_length, said("completed", "null")}));
  REQUIRE(kept.calls.size() == 1);
  REQUIRE(kept.calls[0].tool_calls.size() == 1);
  CHECK(kept.calls[0].tool_calls[0].name == "transcription");
  CHECK(kept.calls[0].tool_calls[0].count == 2);
  CHECK(kept.calls[0].tokens_complete);
  kept = meter_socket(realtime({by_length}));
  REQUIRE(kept.calls.size() == 1);
  CHECK_FALSE(kept.calls[0].tokens_complete);
  CHECK(kept.calls[0].bucket_doubt == "per_minute");
}

TEST_CASE("sockets that cannot be read", "[socket]") {
  const SocketLine rubbish{false, frame(1, "x", {true, true, 0}), true};
  std::vector<SocketLine> lines = {create(), created("r1"), rubbish, completed("r1", 5, 5)};
  KeptRecords kept = meter_socket(responses(lines));
  REQUIRE(kept.calls.size() == 1);
  CHECK(kept.calls[0].incomplete_reason == "observer_lost");
  CHECK(!kept.calls[0].tokens_complete);
  REQUIRE(kept.misses.size() == 1);
  CHECK(kept.misses[0].reason == "observer_lost");
  CHECK(kept.misses[0].detail == "responses");
  CHECK(kept.misses[0].bytes_down > 0);

  // An extension that nobody here knows.
  Socket socket = responses({create(), completed("r1", 5, 5)});
  socket.response_headers = {{"sec-websocket-extensions", "permessage-bzip2"}};
  kept = meter_socket(socket);
  CHECK(kept.calls.empty());
  REQUIRE(kept.misses.size() == 1);
  CHECK(kept.misses[0].reason == "observer_lost");
  CHECK(kept.misses[0].bytes_up > 0);

  // A broken message spoils only itself.
  kept = meter_socket(responses({create(), down("{\"type\":"), completed("r1", 5, 5)}));
  CHECK(kept.calls.size() == 1);
  CHECK(kept.misses.empty());
}

TEST_CASE("messages of many megabytes and many turns", "[socket]") {
  std::string big = R"({"type":"response.create","input":")" + std::string(5 << 20, 'x') +
                    R"(","model":"gpt-5.5-late"})";
  const std::string answer =
      R"({"type":"response.completed","response":{"output":[{"type":"t","x":")" +
      std::string(3 << 20, 'y') + R"("}],"id":"r1","usage":{"input_tokens":7,"output_tokens":1}}})";
  KeptRecords kept = meter_socket(responses({up(big), down(answer)}), {}, {"pieces", {16384}});
  REQUIRE(kept.calls.size() == 1);
  CHECK(kept.calls[0].model == "gpt-5.5-late");
  CHECK(kept.calls[0].usage.input_tokens == 7);
  CHECK(kept.calls[0].bytes_up > 5 << 20);

  kept = meter_socket(responses(std::vector<SocketLine>(100, create())));
  CHECK(kept.calls.size() == 100);
  CHECK(kept.calls[0].incomplete_reason == "observer_overload");
  CHECK(kept.calls[99].incomplete_reason == "client_abort");
}

}  // namespace hm::test
