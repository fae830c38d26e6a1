// OpenAI chat completions and legacy completions, and everybody who speaks them.
// `providers.md` 5.2.
#include <algorithm>
#include <array>
#include <bitset>

#include "interceptor/meter/json_text.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

constexpr size_t kMaxChoices = 256;

struct ChatFigures {
  int64_t prompt = 0;
  int64_t cached = 0;
  int64_t written = 0;
  int64_t completion = 0;
  int64_t reasoning = 0;
  std::optional<int64_t> total;
  bool cached_apart = false;  // the prompt does not include what was read or written
};

// The gap rule: where reasoning is counted shows in the sum, not in the vendor's name.
void read_output(const ChatFigures& told, bool additive, Usage& usage) {
  usage.output_tokens = told.completion;
  usage.thinking_tokens = told.reasoning;
  if (!told.total) {
    if (additive) usage.output_tokens += told.reasoning;
  } else {
    int64_t gap = *told.total - told.prompt - told.completion;
    // A total that counts what the prompt leaves out hides no thinking.
    const int64_t apart = told.cached + told.written;
    if (told.cached_apart && (gap == apart || gap == apart + told.reasoning)) gap -= apart;
    if (told.reasoning > 0 && gap == told.reasoning) {
      usage.output_tokens += told.reasoning;
    } else if (told.reasoning == 0 && gap > 0) {
      usage.output_tokens += gap;
      usage.thinking_tokens = gap;
    }
  }
  if (usage.thinking_tokens > usage.output_tokens) usage.output_tokens += told.reasoning;
}

void read_chat_usage(JsonView usage, bool additive, Draft& draft) {
  const JsonView in = usage.get("prompt_tokens_details");
  const JsonView out = usage.get("completion_tokens_details");
  ChatFigures told;
  told.prompt = usage.get("prompt_tokens").figure_or_zero();
  const auto cached = in.get("cached_tokens").figure();
  // DeepSeek's own name for it; hit and miss together are the prompt (10).
  told.cached = cached ? *cached : usage.get("prompt_cache_hit_tokens").figure_or_zero();
  told.written = in.get("cache_write_tokens").figure_or_zero();
  told.completion = usage.get("completion_tokens").figure_or_zero();
  told.reasoning = out.get("reasoning_tokens").figure_or_zero();
  told.total = usage.get("total_tokens").figure();

  note_unknown_figures(usage,
                       {"prompt_tokens", "completion_tokens", "total_tokens", "num_sources_used",
                        "num_server_side_tools_used", "cost_in_usd_ticks"},
                       draft);
  note_unknown_figures(
      in, {"cached_tokens", "cache_write_tokens", "audio_tokens", "text_tokens", "image_tokens"},
      draft);
  note_unknown_figures(out,
                       {"reasoning_tokens", "audio_tokens", "text_tokens",
                        "accepted_prediction_tokens", "rejected_prediction_tokens"},
                       draft);

  Usage result;
  result.cache_read_tokens = told.cached;
  result.cache_write_5m_tokens = told.written;
  const int64_t rest = told.prompt - told.cached - told.written;
  result.input_tokens = rest >= 0 ? rest : told.prompt;  // then they are not inside
  told.cached_apart = rest < 0;
  read_output(told, additive, result);

  // Mistral's spoken prompts are charged by the minute beside the tokens (10).
  if (usage.get("prompt_audio_seconds").figure_or_zero() > 0) draft.bucket_doubt = "per_minute";
  const int64_t audio_in = in.get("audio_tokens").figure_or_zero();
  const int64_t image_in = in.get("image_tokens").figure_or_zero();
  if ((audio_in > 0 || image_in > 0) && told.cached > 0) {
    draft.bucket_doubt = "cached_modality";  // which of them were cached is not told
  }
  add_part(result, "input_audio", std::min(audio_in, result.input_tokens));
  add_part(result, "input_image", std::min(image_in, result.input_tokens));
  add_part(result, "output_audio",
           std::min(out.get("audio_tokens").figure_or_zero(), result.output_tokens));
  draft.usage = std::move(result);
}

class OpenAiChat final : public Shape {
 public:
  explicit OpenAiChat(bool additive) : additive_(additive) {}

  std::span<const SkimPath> fields() const override { return kFields; }

  void on_seen(size_t field) override {
    if (field == kChoices) choices_told_ = true;
    if (field == kChoice) {
      end_choice();
      choice_told_ = true;
      in_choice_ = true;
    }
  }

  void on_value(size_t field, std::string_view json) override {
    if (field == kChoiceIndex) {
      choice_index_ = JsonDocument(json).root().figure_or_zero();
    } else if (field == kChoiceFinish) {
      choice_finish_ = string_of(json).value_or("");
    } else {
      Shape::on_value(field, json);
    }
  }

  void on_document(std::string_view, Draft& draft) override {
    end_choice();
    collect_error(kError, draft);
    collect_error(kGroqError, draft);
    if (has(kId)) draft.response_id = clean_word(text(kId));
    if (const std::string model = text(kModel); !model.empty()) draft.model = clean_model(model);
    if (const std::string tier = text(kTier); !tier.empty()) draft.service_tier = clean_tier(tier);
    // xAI's deferred completion is answered with nothing but an id to ask for (9).
    if (!choices_told_ && has(kRequestId) && !has(kUsage) && !has(kError)) {
      draft.response_id = clean_word(text(kRequestId));
      draft.background = true;
    }
    if (!finish_.empty()) draft.stop_reason = clean_word(finish_);
    const bool usage_here = read_usage(draft);
    const bool all_finished = seen_.any() && seen_ == finished_;
    if ((usage_here && choices_told_ && !choice_told_) || all_finished) draft.terminal = true;
  }

  void on_done_mark(Draft& draft) override { draft.terminal = true; }

 private:
  enum : size_t {
    kId,
    kModel,
    kUsage,
    kGroqUsage,
    kGroqError,
    kTier,
    kError,
    kRequestId,
    kChoices,
    kChoice,
    kChoiceIndex,
    kChoiceFinish,
  };
  static constexpr std::array<SkimPath, 12> kFields = {{{"id"},
                                                        {"model"},
                                                        {"usage"},
                                                        {"x_groq.usage"},
                                                        {"x_groq.error"},
                                                        {"service_tier"},
                                                        {"error"},
                                                        {"request_id"},
                                                        {"choices", true},
                                                        {"choices[]", true},
                                                        {"choices[].index"},
                                                        {"choices[].finish_reason"}}};

  bool read_usage(Draft& draft) {
    // Groq tells a stream's usage under its own name, unless it was asked for.
    return read_usage(kUsage, draft) || read_usage(kGroqUsage, draft);
  }

  bool read_usage(size_t place, Draft& draft) {
    if (!has(place)) return false;
    const JsonDocument document(field(place));
    const JsonView usage = document.root();
    if (!usage.tells_figures()) return false;
    draft.usage_seen = true;
    read_chat_usage(usage, additive_, draft);  // cumulative where it is repeated: the last counts
    read_reported_extras(usage, draft);
    return true;
  }

  void end_choice() {
    if (!in_choice_) return;
    const auto index = static_cast<size_t>(choice_index_);
    if (index < kMaxChoices) {
      seen_.set(index);
      if (!choice_finish_.empty()) {  // an empty string is not finished (9.1)
        finished_.set(index);
        finish_ = choice_finish_;
      }
    }
    in_choice_ = false;
    choice_index_ = 0;
    choice_finish_.clear();
  }

  void on_clear() override {
    choices_told_ = choice_told_ = in_choice_ = false;
    choice_index_ = 0;
    choice_finish_.clear();
  }

  const bool additive_;
  std::bitset<kMaxChoices> seen_;
  std::bitset<kMaxChoices> finished_;
  std::string finish_;
  // Of the document that is being read:
  bool choices_told_ = false;
  bool choice_told_ = false;
  bool in_choice_ = false;
  int64_t choice_index_ = 0;
  std::string choice_finish_;
};

}  // namespace

std::unique_ptr<Shape> make_openai_chat(bool additive_reasoning) {
  return std::make_unique<OpenAiChat>(additive_reasoning);
}

}  // namespace hm::meter
