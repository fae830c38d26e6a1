// Anthropic messages, streamed or whole, and batch result lines. `providers.md` 4.2 to 4.5.
#include <algorithm>
#include <array>

#include "interceptor/meter/json_text.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

// The figures of one usage object as sent. In a stream every later non-null field replaces.
struct Figures {
  std::optional<int64_t> input;
  std::optional<int64_t> cache_read;
  std::optional<int64_t> written;
  std::optional<int64_t> written_5m;
  std::optional<int64_t> written_1h;
  std::optional<int64_t> output;
  std::optional<int64_t> thinking;

  void merge(JsonView usage) {
    replace_unless_zero(input, usage.get("input_tokens"));
    replace_unless_zero(cache_read, usage.get("cache_read_input_tokens"));
    replace_unless_zero(written, usage.get("cache_creation_input_tokens"));
    const JsonView split = usage.get("cache_creation");
    replace(written_5m, split.get("ephemeral_5m_input_tokens"));
    replace(written_1h, split.get("ephemeral_1h_input_tokens"));
    replace(output, usage.get("output_tokens"));
    replace(thinking, usage.get("output_tokens_details").get("thinking_tokens"));
  }

  [[nodiscard]] Usage buckets() const {
    Usage usage;
    usage.input_tokens = input.value_or(0);
    usage.cache_read_tokens = cache_read.value_or(0);
    usage.cache_write_5m_tokens = written_5m.value_or(0);
    usage.cache_write_1h_tokens = written_1h.value_or(0);
    const int64_t split = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens;
    // In streams the total grows while the split is only in message_start.
    if (const int64_t rest = written.value_or(split) - split; rest > 0) {
      const bool long_only = usage.cache_write_1h_tokens > 0 && usage.cache_write_5m_tokens == 0;
      (long_only ? usage.cache_write_1h_tokens : usage.cache_write_5m_tokens) += rest;
    }
    usage.output_tokens = output.value_or(0);
    usage.thinking_tokens = std::min(thinking.value_or(0), usage.output_tokens);
    return usage;
  }

 private:
  static void replace(std::optional<int64_t>& kept, JsonView told) {
    if (const auto value = told.figure()) kept = value;
  }
  // Gateways repeat the input side as zeros (4.2).
  static void replace_unless_zero(std::optional<int64_t>& kept, JsonView told) {
    const auto value = told.figure();
    if (value && (*value > 0 || kept.value_or(0) == 0)) kept = value;
  }
};

void add(Usage& sum, const Usage& more) {
  sum.input_tokens += more.input_tokens;
  sum.cache_read_tokens += more.cache_read_tokens;
  sum.cache_write_5m_tokens += more.cache_write_5m_tokens;
  sum.cache_write_1h_tokens += more.cache_write_1h_tokens;
  sum.output_tokens += more.output_tokens;
  sum.thinking_tokens += more.thinking_tokens;
}

struct Iteration {
  std::string type;
  std::string model;
  Usage usage;
};

// Everything that usage objects of one message have told.
class MessageUsage {
 public:
  void merge(std::string_view json, Draft& draft) {
    const JsonDocument document(json);
    const JsonView usage = document.root();
    if (!usage.tells_figures()) return;
    draft.usage_seen = true;
    figures_.merge(usage);
    read_tool_counters(usage.get("server_tool_use"), "_requests", draft);
    if (const auto tier = usage.get("service_tier").text()) tier_ = clean_tier(*tier);
    if (const auto speed = usage.get("speed").text()) fast_ = *speed == "fast";
    if (const auto geo = usage.get("inference_geo").text()) draft.geo = clean_word(*geo, 40);
    note_unknown_figures(
        usage,
        {"input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"},
        draft);
    note_unknown_figures(usage.get("cache_creation"),
                         {"ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"}, draft);
    note_unknown_figures(usage.get("output_tokens_details"), {"thinking_tokens"}, draft);
    if (usage.get("fallback_credit").exists()) draft.bucket_doubt = "fallback_credit";
    if (usage.get("iterations").is_array()) read_iterations(usage.get("iterations"));
  }

  void finish(Draft& draft) const {
    draft.usage = figures_.buckets();
    draft.service_tier = fast_ ? "fast" : tier_;
    draft.extra_usage.clear();
    draft.iterations.clear();
    const bool fell_back = std::ranges::any_of(
        iterations_, [](const Iteration& hop) { return hop.type == "fallback_message"; });
    for (const Iteration& hop : iterations_) {
      const bool own = hop.type == "compaction" || hop.type == "fallback_message" ||
                       (hop.type == "message" && !fell_back);
      if (own) draft.iterations.push_back(hop.usage);
      if (hop.type == "compaction") {
        add(draft.usage, hop.usage);  // same model, but not in the top level (4.5)
      } else if (hop.type == "advisor_message") {
        draft.extra_usage.push_back({hop.type, hop.model, hop.usage});
      } else if (hop.type == "fallback_message") {
        if (!hop.model.empty()) draft.model = hop.model;
      } else if (hop.type == "message" && fell_back) {
        draft.extra_usage.push_back({"declined_message", hop.model, hop.usage});
      }
    }
    if (draft.iterations.size() < 2) draft.iterations.clear();
  }

 private:
  void read_iterations(JsonView list) {
    iterations_.clear();
    for (size_t i = 0; i < std::min<size_t>(list.size(), 64); ++i) {
      const JsonView entry = list.at(i);
      Figures figures;
      figures.merge(entry);
      iterations_.push_back({entry.get("type").text().value_or(""),
                             clean_model(entry.get("model").text().value_or("")),
                             figures.buckets()});
    }
  }

  Figures figures_;
  std::string tier_;
  bool fast_ = false;
  std::vector<Iteration> iterations_;
};

class AnthropicMessages final : public Shape {
 public:
  std::span<const SkimPath> fields() const override { return kFields; }

  void on_document(std::string_view event_name, Draft& draft) override {
    collect_error(kError, draft);
    const std::string type = kind(kType, event_name);
    if (type == "message_start") {
      draft.response_id = clean_word(text(kMessageId));
      draft.model = clean_model(text(kMessageModel));
      usage_.merge(field(kMessageUsage), draft);
    } else if (type == "message_delta") {
      usage_.merge(field(kUsage), draft);
      stop(kDeltaStopReason, draft);
    } else if (type == "message_stop") {
      draft.terminal = true;
    } else if (type == "message" || type.empty()) {  // a whole message, or a count
      draft.response_id = clean_word(text(kId));
      if (has(kModel)) draft.model = clean_model(text(kModel));
      usage_.merge(field(kUsage), draft);
      stop(kStopReason, draft);
      if (has(kInputTokens)) {
        draft.counted_tokens = JsonDocument(field(kInputTokens)).root().figure();
      }
    }
  }

  void finish(Draft& draft) override { usage_.finish(draft); }

 private:
  void stop(size_t reason_field, Draft& draft) const {
    const std::string reason = text(reason_field);
    if (reason.empty()) return;  // null between the rounds of server tools (4.2)
    draft.stop_reason = clean_word(reason);
    draft.terminal = true;
  }

  enum : size_t {
    kType,
    kId,
    kModel,
    kUsage,
    kStopReason,
    kMessageId,
    kMessageModel,
    kMessageUsage,
    kDeltaStopReason,
    kInputTokens,
    kError,
  };
  static constexpr std::array<SkimPath, 11> kFields = {{{"type"},
                                                        {"id"},
                                                        {"model"},
                                                        {"usage"},
                                                        {"stop_reason"},
                                                        {"message.id"},
                                                        {"message.model"},
                                                        {"message.usage"},
                                                        {"delta.stop_reason"},
                                                        {"input_tokens"},
                                                        {"error"}}};
  MessageUsage usage_;
};

// One line of a batch's results; a succeeded one is a record of its own (4.1).
class AnthropicBatch final : public Shape {
 public:
  std::span<const SkimPath> fields() const override { return kFields; }

  void on_document(std::string_view, Draft& draft) override {
    if (text(kResultType) != "succeeded") return;
    draft.model = clean_model(text(kModel));
    draft.response_id = clean_word(text(kId));
    draft.stop_reason = clean_word(text(kStopReason));
    MessageUsage usage;
    usage.merge(field(kUsage), draft);
    usage.finish(draft);
    draft.terminal = draft.record_ready = true;
  }

 private:
  enum : size_t { kResultType, kId, kModel, kUsage, kStopReason };
  static constexpr std::array<SkimPath, 5> kFields = {{{"result.type"},
                                                       {"result.message.id"},
                                                       {"result.message.model"},
                                                       {"result.message.usage"},
                                                       {"result.message.stop_reason"}}};
};

}  // namespace

std::unique_ptr<Shape> make_anthropic_messages() {
  return std::make_unique<AnthropicMessages>();
}
std::unique_ptr<Shape> make_anthropic_batch() {
  return std::make_unique<AnthropicBatch>();
}

}  // namespace hm::meter
