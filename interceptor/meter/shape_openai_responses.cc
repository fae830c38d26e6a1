// OpenAI Responses, streamed or whole, with compact and input_tokens. `providers.md` 5.3, 6.3, 9.1.
#include <algorithm>
#include <array>

#include "interceptor/meter/json_text.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

struct ToolCounts {
  int64_t web_search = 0;
  int64_t file_search = 0;
  int64_t code_interpreter = 0;
  int64_t image_generation = 0;

  void add(std::string_view type, std::string_view action) {
    // Opening a page that a search found is not charged.
    if (type == "web_search_call" && (action.empty() || action == "search")) ++web_search;
    if (type == "file_search_call") ++file_search;
    if (type == "code_interpreter_call") ++code_interpreter;
    if (type == "image_generation_call") ++image_generation;
  }
};

class OpenAiResponses final : public Shape {
 public:
  std::span<const SkimPath> fields() const override { return kFields; }

  void on_seen(size_t) override {  // an output item begins
    end_item();
    if (!listing_) listed_ = {};  // the last list is the one that counts
    listing_ = in_item_ = true;
  }

  void on_value(size_t field, std::string_view json) override {
    switch (field) {
      case kOutputType:
      case kNestedOutputType:
        item_type_ = string_of(json).value_or("");
        break;
      case kToolType:
      case kNestedToolType:
        note_tool(string_of(json).value_or(""));
        break;
      case kOutputAction:
      case kNestedOutputAction:
        item_action_ = string_of(json).value_or("");
        break;
      default:
        Shape::on_value(field, json);
    }
  }

  void on_document(std::string_view event_name, Draft& draft) override {
    end_item();
    const std::string type = kind(kType, event_name);
    if (type == "response.output_item.done") streamed_.add(text(kItemType), text(kItemAction));
    if (type == "error") {
      if (has(kError)) {
        collect_error(kError, draft);
      } else {  // the flat form
        ErrorWords flat;
        flat.present = true;
        flat.add_word(text(kCode));
        flat.add_message(text(kMessage));
        draft.error = flat;
      }
    } else if (type.starts_with("response.")) {
      on_event(type, draft);
    } else if (type.empty() || text(kObject).starts_with("response")) {
      on_whole(draft);
    }
  }

  void finish(Draft& draft) override {
    const auto tell = [&draft](std::string_view name, int64_t streamed, int64_t listed) {
      set_tool_calls(draft, name, std::max(streamed, listed));
    };
    // The older tool has another charge; the calls of both look alike (pricing by tool and model).
    const bool preview = search_preview_ && !search_;
    tell(preview ? "web_search_preview" : "web_search", streamed_.web_search, listed_.web_search);
    tell("file_search", streamed_.file_search, listed_.file_search);
    tell("code_interpreter", streamed_.code_interpreter, listed_.code_interpreter);
    tell("image_generation", streamed_.image_generation, listed_.image_generation);
    // xAI lists the same calls in its usage; that count is the billed one.
    if (!usage_json_.empty()) read_reported_extras(JsonDocument(usage_json_).root(), draft);
  }

 private:
  enum : size_t {
    kType,
    kObject,
    kId,
    kModel,
    kStatus,
    kUsage,
    kTier,
    kError,
    kCode,
    kMessage,
    kReason,
    kInputTokens,
    kOutput,
    kOutputType,
    kOutputAction,
    kToolType,
    kItemType,
    kItemAction,
    kNestedId,
    kNestedModel,
    kNestedUsage,
    kNestedTier,
    kNestedError,
    kNestedReason,
    kNestedOutput,
    kNestedOutputType,
    kNestedOutputAction,
    kNestedToolType,
    kCount,
  };
  static constexpr std::array<SkimPath, kCount> kFields = {{{"type"},
                                                            {"object"},
                                                            {"id"},
                                                            {"model"},
                                                            {"status"},
                                                            {"usage"},
                                                            {"service_tier"},
                                                            {"error"},
                                                            {"code"},
                                                            {"message"},
                                                            {"incomplete_details.reason"},
                                                            {"input_tokens"},
                                                            {"output[]", true},
                                                            {"output[].type"},
                                                            {"output[].action.type"},
                                                            {"tools[].type"},
                                                            {"item.type"},
                                                            {"item.action.type"},
                                                            {"response.id"},
                                                            {"response.model"},
                                                            {"response.usage"},
                                                            {"response.service_tier"},
                                                            {"response.error"},
                                                            {"response.incomplete_details.reason"},
                                                            {"response.output[]", true},
                                                            {"response.output[].type"},
                                                            {"response.output[].action.type"},
                                                            {"response.tools[].type"}}};

  void on_event(std::string_view type, Draft& draft) {
    if (const std::string id = text(kNestedId); !id.empty()) draft.response_id = clean_word(id);
    if (const std::string model = text(kNestedModel); !model.empty()) {
      draft.model = clean_model(model);
    }
    const bool terminal = type == "response.completed" || type == "response.incomplete" ||
                          type == "response.failed" || type == "response.cancelled";
    if (!terminal) return;
    draft.terminal = true;
    draft.service_tier = clean_tier(text(kNestedTier));
    draft.stop_reason = clean_word(text(kNestedReason));
    collect_error(kNestedError, draft);
    if (type == "response.failed") draft.error.present = true;
    read_usage(field(kNestedUsage), draft);
  }

  // The answer repeats which tools were offered, some with a date behind their name.
  void note_tool(std::string_view type) {
    if (type.starts_with("web_search_preview"))
      search_preview_ = true;
    else if (type.starts_with("web_search"))
      search_ = true;
  }

  // A response object as the whole body.
  void on_whole(Draft& draft) {
    draft.response_id = clean_word(text(kId));
    if (const std::string model = text(kModel); !model.empty()) draft.model = clean_model(model);
    draft.service_tier = clean_tier(text(kTier));
    draft.stop_reason = clean_word(text(kReason));
    if (has(kInputTokens)) {
      draft.counted_tokens = JsonDocument(field(kInputTokens)).root().figure();
    }
    const std::string status = text(kStatus);
    draft.background = status == "queued" || status == "in_progress";
    collect_error(kError, draft);
    if (status == "failed") draft.error.present = true;
    if (!draft.background) {
      draft.terminal = true;
      read_usage(field(kUsage), draft);
    }
  }

  void read_usage(std::string_view json, Draft& draft) {
    const JsonDocument document(json);
    const JsonView usage = document.root();
    if (!usage.tells_figures()) return;
    draft.usage_seen = draft.final_usage = true;
    usage_json_ = json;
    const JsonView in = usage.get("input_tokens_details");
    note_unknown_figures(
        usage,
        {"input_tokens", "output_tokens", "total_tokens", "num_sources_used",
         "num_server_side_tools_used", "cost_in_usd_ticks", "codex_rollout_budget_units"},
        draft);
    note_unknown_figures(
        in, {"cached_tokens", "cache_write_tokens", "audio_tokens", "text_tokens", "image_tokens"},
        draft);
    note_unknown_figures(usage.get("output_tokens_details"),
                         {"reasoning_tokens", "audio_tokens", "text_tokens"}, draft);
    const int64_t whole = usage.get("input_tokens").figure_or_zero();
    Usage result;
    result.cache_read_tokens = in.get("cached_tokens").figure_or_zero();
    result.cache_write_5m_tokens = in.get("cache_write_tokens").figure_or_zero();
    const int64_t rest = whole - result.cache_read_tokens - result.cache_write_5m_tokens;
    result.input_tokens = rest >= 0 ? rest : whole;
    result.output_tokens = usage.get("output_tokens").figure_or_zero();
    result.thinking_tokens =
        std::min(usage.get("output_tokens_details").get("reasoning_tokens").figure_or_zero(),
                 result.output_tokens);
    draft.usage = std::move(result);
  }

  void end_item() {
    if (in_item_) listed_.add(item_type_, item_action_);
    in_item_ = false;
    item_type_.clear();
    item_action_.clear();
  }

  void on_clear() override {
    listing_ = in_item_ = false;
    item_type_.clear();
    item_action_.clear();
  }

  ToolCounts streamed_;
  ToolCounts listed_;
  std::string usage_json_;
  bool search_ = false;
  bool search_preview_ = false;
  bool listing_ = false;  // this document has output items
  bool in_item_ = false;
  std::string item_type_;
  std::string item_action_;
};

}  // namespace

std::unique_ptr<Shape> make_openai_responses() {
  return std::make_unique<OpenAiResponses>();
}

}  // namespace hm::meter
