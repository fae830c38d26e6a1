// The nouns that all floors of the interceptor share: one metered call, one missed call, and where
// they go. Plain data. Times: wall microseconds since the epoch (UTC) or durations in microseconds.
// Money: pico-USD. Absent is an empty optional, never 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hm {

// A part of one of Usage's five token figures that has a price of its own, for instance
// {"input_audio", 4000}: 4000 of the input_tokens were audio. Bucket names are the rate card's:
// input_audio, input_image, input_video, cache_read_audio, cache_read_image, output_audio,
// output_image, output_video, and cache_write_30m, cache_write_12h (parts of
// cache_write_5m_tokens).
struct UsagePart {
  std::string bucket;
  int64_t tokens = 0;
};

// The normalised usage of `providers.md` 1.1: the four input figures do not overlap.
struct Usage {
  int64_t input_tokens = 0;  // uncached
  int64_t cache_read_tokens = 0;
  int64_t cache_write_5m_tokens = 0;  // the provider's short or only lifetime
  int64_t cache_write_1h_tokens = 0;
  int64_t output_tokens = 0;    // thinking included
  int64_t thinking_tokens = 0;  // part of output_tokens
  std::vector<UsagePart> parts;

  [[nodiscard]] int64_t prompt_tokens() const {
    return input_tokens + cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens;
  }
};

// Usage of another model inside the same call, in none of the record's own figures.
struct ExtraUsage {
  std::string kind;  // advisor_message, declined_message, input_transcription, ...
  std::string model;
  Usage usage;
};

// Server-side tools that are charged per call: web_search, x_search, code_interpreter, ...
struct ToolCalls {
  std::string name;
  int64_t count = 0;
};

struct RateLimitHeader {
  std::string name;
  std::string value;                  // as sent, at most 200 bytes
  std::optional<int64_t> instant_us;  // parsed, for reset times
};

// Who made the call. Filled from the client's process; every field may be unknown.
struct Attribution {
  std::string project = "misc";  // slug
  std::string tier = "smart_default";
  std::string client_name;  // from the user agent, else the process name
  std::string client_version;
  int64_t client_pid = 0;  // 0 = unknown
  std::string cwd;
  std::string git_branch;
  std::string run_id;  // set by `halton-meter run`, empty otherwise
};

enum class CallStatus : uint8_t { success, error, cancelled, truncated };

struct CallRecord {
  std::string id;              // UUID, unique per row
  std::string call_id;         // given by the edge; shared by the calls of one connection
  std::string provider;        // anthropic, openai, gemini, xai, or a configured one
  std::string rate_namespace;  // provider id whose rates apply; usually the same
  std::string host;
  std::string model;  // served; requested when the response names none; may be empty
  std::string requested_model;
  std::string endpoint;               // names of the golden samples
  std::string mode = "standard";      // standard, streaming, thinking, batch
  std::string request_kind = "chat";  // chat, embedding, image, audio
  bool stream = false;
  std::string transport = "h1";  // h1, h2, ws
  std::string billing = "api";   // api or subscription (then the cost is a shadow cost)

  Usage usage;
  bool tokens_complete = false;
  std::string incomplete_reason;          // a word of `providers.md` 14, empty when complete
  std::optional<int64_t> counted_tokens;  // the answer of a counting call
  std::vector<ExtraUsage> extra_usage;
  // The record's own figures by sub-call of the same model, where the answer told them: thresholds
  // of the prompt's length are judged for each. Empty, or two and more that add up to `usage`.
  std::vector<Usage> iterations;
  std::vector<ToolCalls> tool_calls;
  std::string
      service_tier;  // as served: standard, priority, fast, flex, batch, ...; empty = not told
  std::string geo;   // inference_geo or the regional host; empty = not told
  std::string stop_reason;
  std::string
      cache_lifetime;  // requested lifetime where the answer does not say (OpenAI: "30m", "12h")
  std::optional<int64_t> provider_cost_pico_usd;  // the provider's own figure
  std::string bucket_doubt;  // why the figures cannot be priced exactly; empty normally

  int64_t requested_at_us = 0;  // wall
  std::optional<int64_t> ttfb_us;
  int64_t duration_us = 0;
  int64_t bytes_up = 0;  // bodies as on the wire
  int64_t bytes_down = 0;

  CallStatus status = CallStatus::success;
  std::optional<int> http_status;
  std::string error_class;  // the seven locked words; empty = none
  std::string error_kind;   // the finer word of `providers.md` 3.1; empty = none
  std::string provider_error_code;
  std::string provider_request_id;
  std::string response_id;  // the body's id: the same response seen again updates its row
  std::optional<double> retry_after_s;
  std::vector<RateLimitHeader> rate_limits;
  std::string session_id;
  std::string key_print;  // keyed hash of the API key, so that keys can be told apart; empty = none
  std::optional<int64_t> client_retry;  // which repetition this is, as the client's library told

  Attribution attribution;
};

// A call to a metered host that was not metered, or only seen.
struct MissRecord {
  // Its name, if it has one already: a miss that comes twice is one row. The store names the rest.
  std::string source;
  int64_t sequence = 0;
  // `count` is what the connection call_id has begun: the rows that came of it are no misses.
  bool less_rows = false;
  int64_t at_us = 0;  // wall
  std::string host;
  // A stable word: gate_closed, ask_refused, ask_timeout, ask_full, interceptor_lost, edge_lost,
  // not_tls, origin_unverified, origin_unreachable, client_refused_ca, sni_mismatch,
  // client_certificate, observer_unread (protocol seen but not read), observer_lost, queue_full,
  // unknown_path, ...
  std::string reason;
  int64_t count = 1;
  int64_t bytes_up = 0;
  int64_t bytes_down = 0;
  int64_t duration_us = 0;
  int64_t client_port = 0;
  std::string call_id;
  std::string detail;  // short, no secrets
};

// Where finished records go. Called on the relay loop; never blocks, never throws. False: it was
// full, the record is gone and counted.
class RecordSink {
 public:
  virtual bool push(CallRecord&& record) noexcept = 0;
  virtual bool push(MissRecord&& record) noexcept = 0;
  // Is there room for the rows of calls that begin now? False: they had better go elsewhere.
  [[nodiscard]] virtual bool has_room() const noexcept { return true; }

 protected:
  ~RecordSink() = default;
};

}  // namespace hm
