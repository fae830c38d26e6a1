// A shape reads one wire format, shared by all providers who speak it: which paths of each JSON
// document matter, what they mean for the draft, and what the figures add up to. The response
// reader feeds it documents (a whole body, an SSE event, an element of an array stream, a line of
// JSON Lines). One instance per answer; pure; used on the loop of its owner.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "interceptor/call_record.h"
#include "interceptor/meter/error_class.h"
#include "interceptor/meter/json_skim.h"
#include "interceptor/meter/provider.h"

namespace hm::meter {

// What an answer has said so far.
struct Draft {
  std::string model;
  std::string response_id;
  std::string service_tier;
  std::string geo;
  std::string stop_reason;
  std::string bucket_doubt;
  std::string unknown_figure;     // name of a usage field that nobody knows, with a number in it
  std::string_view endpoint;      // batch lines that say which; empty = the route's. A literal
  std::string_view request_kind;  // the same
  Usage usage;
  std::vector<ExtraUsage> extra_usage;
  std::vector<Usage> iterations;  // sub-calls of the same model; they add up to `usage`
  std::vector<ToolCalls> tool_calls;
  std::optional<int64_t> counted_tokens;
  std::optional<int64_t> provider_cost_pico_usd;

  bool usage_seen = false;    // an object with figures came
  bool terminal = false;      // the stream's terminal mark of `providers.md` 1.3
  bool final_usage = false;   // usage came in the terminal event: exact, even beside an error
  bool background = false;    // queued: the figures come with a later retrieval
  bool record_ready = false;  // batch: this document is a record of its own
  ErrorWords error;           // present: an error event, or an error in a body of status 200
};

class Shape {
 public:
  virtual ~Shape() = default;

  [[nodiscard]] virtual std::span<const SkimPath> fields() const = 0;
  // By default a value is kept until the document ends (has(), field()). Repeated ones (paths with
  // `[]`) come here one by one.
  virtual void on_value(size_t field, std::string_view json);
  virtual void on_seen(size_t field);
  // A document is whole. `event_name` is that of the SSE event, or empty.
  virtual void on_document(std::string_view event_name, Draft& draft) = 0;
  virtual void on_done_mark(Draft& draft);  // `[DONE]`
  virtual void finish(Draft& draft);        // no more documents: work out the usage

  void clear_document();  // forget what was kept of the current document

 protected:
  [[nodiscard]] bool has(size_t field) const;
  [[nodiscard]] std::string_view field(size_t field) const;  // JSON text; empty when absent
  // Of a JSON string; empty when absent or of another type.
  [[nodiscard]] std::string text(size_t field) const;
  // The event's kind: the JSON's own type, else the SSE name (2.4).
  [[nodiscard]] std::string kind(size_t type_field, std::string_view event_name) const;
  void collect_error(size_t field, Draft& draft) const;

  virtual void on_clear() {}  // state of shapes that belongs to one document

 private:
  std::vector<std::string> kept_;
  std::vector<uint16_t> used_;
};

[[nodiscard]] std::unique_ptr<Shape> make_shape(WireShape shape, const Provider& provider);
// Reads error bodies (status 400 and above) of every provider: section 3.2.
[[nodiscard]] std::unique_ptr<Shape> make_error_shape();

// One per file shape_*.cc.
[[nodiscard]] std::unique_ptr<Shape> make_anthropic_messages();
[[nodiscard]] std::unique_ptr<Shape> make_anthropic_batch();
[[nodiscard]] std::unique_ptr<Shape> make_openai_batch();
[[nodiscard]] std::unique_ptr<Shape> make_openai_chat(bool additive_reasoning);
[[nodiscard]] std::unique_ptr<Shape> make_openai_responses();
[[nodiscard]] std::unique_ptr<Shape> make_openai_realtime();
[[nodiscard]] std::unique_ptr<Shape> make_openai_embeddings();
[[nodiscard]] std::unique_ptr<Shape> make_openai_media(WireShape shape);
[[nodiscard]] std::unique_ptr<Shape> make_gemini_generate(bool code_assist);
[[nodiscard]] std::unique_ptr<Shape> make_gemini_embed();
[[nodiscard]] std::unique_ptr<Shape> make_gemini_interactions();

// --- helpers of several shapes ---

// At most 200 bytes, one leading `models/` or `tunedModels/` cut (1.2), no control characters.
[[nodiscard]] std::string clean_model(std::string_view model);
// `default` is our `standard`; `auto` is what was asked for and not an answer.
[[nodiscard]] std::string clean_tier(std::string_view tier);
// A short word for a column, or empty when it is not one.
[[nodiscard]] std::string clean_word(std::string_view word, size_t limit = 100);
void add_part(Usage& usage, std::string_view bucket, int64_t tokens);
void set_tool_calls(Draft& draft, std::string_view name, int64_t count);
// Counters of server-side tools, {"web_search_requests": 2}: all of them, also those that nobody
// knows yet, since a new counter is how a new charge is announced. `ending` is cut from the names.
void read_tool_counters(JsonView counters, std::string_view ending, Draft& draft);

// A figure above zero under a name that is not in the list: providers announce new charges so. The
// first one is kept in draft.unknown_figure.
void note_unknown_figures(JsonView usage, std::initializer_list<std::string_view> known,
                          Draft& draft);

// A usage object of OpenAI Realtime (5.5), with its parts by modality; a doubt goes to the draft.
[[nodiscard]] Usage realtime_usage(JsonView usage, Draft& draft);

// The provider's own bill inside a usage object: xAI's `cost_in_usd_ticks` and
// `server_side_tool_usage_details` (9.1), OpenRouter's `cost` in dollars (10).
void read_reported_extras(JsonView usage, Draft& draft);

}  // namespace hm::meter
