// Gemini generateContent, as one body, SSE or an array over time; Code Assist has the same one
// level deeper; Interactions has the same formula with names of its own.
// `providers.md` 7.2, 7.3, 7.5, 8.
#include <algorithm>
#include <array>

#include "interceptor/meter/json_text.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

// Cumulative over a stream; the latest told value of each field counts.
struct GeminiFigures {
  std::optional<int64_t> prompt;
  std::optional<int64_t> cached;
  std::optional<int64_t> tool;
  std::optional<int64_t> candidates;
  std::optional<int64_t> thoughts;
  std::optional<int64_t> total;

  [[nodiscard]] Usage buckets() const {
    const int64_t in = prompt.value_or(0);
    const int64_t visible = in + tool.value_or(0) + candidates.value_or(0);
    int64_t thinking = thoughts.value_or(0);
    Usage usage;
    usage.cache_read_tokens = std::min(cached.value_or(0), in);
    usage.input_tokens = in - usage.cache_read_tokens + tool.value_or(0);
    usage.output_tokens = candidates.value_or(0);
    const bool inside = thinking > 0 && total == visible && usage.output_tokens >= thinking;
    if (thinking == 0 && total.value_or(0) > visible) thinking = *total - visible;
    if (!inside) usage.output_tokens += thinking;
    usage.thinking_tokens = thinking;
    return usage;
  }
};

void replace(std::optional<int64_t>& kept, JsonView told) {
  if (const auto value = told.figure()) kept = value;
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

// Tokens by modality: `[{"modality": "AUDIO", "tokenCount": 12}]`. For price parts only (7.3).
struct Modalities {
  bool told = false;
  bool strange = false;  // tokens of a kind that nobody knows
  int64_t audio = 0;
  int64_t image = 0;
  int64_t video = 0;

  void read(JsonView list, std::string_view figure = "tokenCount") {
    if (!list.is_array()) return;
    *this = {};
    told = true;
    for (size_t i = 0; i < std::min<size_t>(list.size(), 16); ++i) {
      const int64_t tokens = list.at(i).get(figure).figure_or_zero();
      const std::string name = name_of(list.at(i).get("modality"));
      if (name == "AUDIO")
        audio += tokens;
      else if (name == "IMAGE" || name == "DOCUMENT")
        image += tokens;
      else if (name == "VIDEO")
        video += tokens;
      else if (name != "TEXT" && tokens > 0)
        strange = true;
    }
  }
  // With `enum-encoding=int` a modality is its number; none at all is text.
  static std::string name_of(JsonView modality) {
    constexpr std::array<std::string_view, 6> kNumbers = {"TEXT",  "TEXT",  "IMAGE",
                                                          "VIDEO", "AUDIO", "DOCUMENT"};
    if (!modality.exists()) return "TEXT";
    if (const auto word = modality.text(); word && !word->empty()) {
      const bool digit = word->size() == 1 && word->front() >= '0' && word->front() <= '9';
      if (!digit) return upper(*word) == "MODALITY_UNSPECIFIED" ? "TEXT" : upper(*word);
    }
    const auto number = modality.figure();
    if (number && *number < static_cast<int64_t>(kNumbers.size()))
      return std::string(kNumbers[static_cast<size_t>(*number)]);
    return {};
  }
  [[nodiscard]] bool any() const { return audio + image + video > 0; }
};

// Everything that the parts of a price need.
struct ModalityLists {
  Modalities prompt;
  Modalities cached;
  Modalities tool;
  Modalities candidates;

  void add_parts(Draft& draft) const {
    Usage& usage = draft.usage;
    int64_t input_left = usage.input_tokens;
    int64_t cache_left = usage.cache_read_tokens;
    int64_t output_left = usage.output_tokens;
    const auto part = [&usage](std::string_view bucket, int64_t tokens, int64_t& left) {
      const int64_t taken = std::clamp<int64_t>(tokens, 0, left);
      left -= taken;
      add_part(usage, bucket, taken);
    };
    part("input_audio", prompt.audio - cached.audio + tool.audio, input_left);
    part("input_image", prompt.image - cached.image + tool.image, input_left);
    part("input_video", prompt.video - cached.video + tool.video, input_left);
    part("cache_read_audio", cached.audio, cache_left);
    part("cache_read_image", cached.image, cache_left);
    part("output_audio", candidates.audio, output_left);
    part("output_image", candidates.image, output_left);
    part("output_video", candidates.video, output_left);
    if (prompt.strange || cached.strange || tool.strange || candidates.strange) {
      draft.bucket_doubt = "unknown_modality";
    } else if (usage.cache_read_tokens > 0 && !cached.told && prompt.any()) {
      draft.bucket_doubt = "cached_modality";
    } else if (!candidates.told && usage.output_tokens > usage.thinking_tokens) {
      draft.bucket_doubt = "output_modality";  // of no matter where all output has one rate
    }
  }
};

std::string tier_of_traffic(std::string_view traffic) {
  if (traffic == "ON_DEMAND") return "standard";
  if (traffic == "ON_DEMAND_PRIORITY") return "priority";
  if (traffic == "ON_DEMAND_FLEX") return "flex";
  if (traffic == "PROVISIONED_THROUGHPUT") return "provisioned";
  return {};
}

class GeminiGenerate final : public Shape {
 public:
  explicit GeminiGenerate(bool code_assist) : code_assist_(code_assist) {}

  std::span<const SkimPath> fields() const override {
    return code_assist_ ? std::span<const SkimPath>(kNested) : std::span<const SkimPath>(kPlain);
  }

  void on_value(size_t field, std::string_view json) override {
    if (field == kFinish) {
      note_reason(json);
    } else if (field == kSearches) {
      document_searches_ += static_cast<int64_t>(JsonDocument(json).root().size());
    } else {
      Shape::on_value(field, json);
    }
  }

  void on_document(std::string_view, Draft& draft) override {
    collect_error(kError, draft);
    if (const std::string model = text(kModel); !model.empty()) draft.model = clean_model(model);
    if (const std::string id = text(kId); !id.empty()) draft.response_id = clean_word(id);
    if (has(kBlock)) note_reason(field(kBlock));
    if (has(kCounted)) draft.counted_tokens = JsonDocument(field(kCounted)).root().figure();
    searches_ = std::max(searches_, document_searches_);
    if (!reason_.empty()) {
      draft.terminal = true;
      draft.stop_reason = clean_word(reason_);
    }
    const JsonDocument document(field(kUsage));
    const JsonView usage = document.root();
    if (!usage.tells_figures()) return;
    draft.usage_seen = true;
    read_usage(usage, draft);
  }

  void finish(Draft& draft) override {
    draft.usage = figures_.buckets();
    set_tool_calls(draft, "google_search", searches_);
    modalities_.add_parts(draft);
  }

 private:
  enum : size_t {
    kUsage,
    kModel,
    kId,
    kFinish,
    kSearches,
    kBlock,
    kError,
    kCounted,
    kCount,
  };
  static constexpr std::array<SkimPath, kCount> kPlain = {
      {{"usageMetadata"},
       {"modelVersion"},
       {"responseId"},
       {"candidates[].finishReason"},
       {"candidates[].groundingMetadata.webSearchQueries"},
       {"promptFeedback.blockReason"},
       {"error"},
       {"totalTokens"}}};
  // Errors and counts are not wrapped (8).
  static constexpr std::array<SkimPath, kCount> kNested = {
      {{"response.usageMetadata"},
       {"response.modelVersion"},
       {"response.responseId"},
       {"response.candidates[].finishReason"},
       {"response.candidates[].groundingMetadata.webSearchQueries"},
       {"response.promptFeedback.blockReason"},
       {"error"},
       {"totalTokens"}}};

  // With `enum-encoding=int` a reason is a number; 0 is "unspecified".
  void note_reason(std::string_view json) {
    if (const auto word = string_of(json)) {
      if (!word->empty()) reason_ = *word;
    } else if (JsonDocument(json).root().figure_or_zero() > 0) {
      reason_ = json;
    }
  }

  void read_usage(JsonView usage, Draft& draft) {
    replace(figures_.prompt, usage.get("promptTokenCount"));
    replace(figures_.cached, usage.get("cachedContentTokenCount"));
    replace(figures_.tool, usage.get("toolUsePromptTokenCount"));
    replace(figures_.candidates, usage.get("candidatesTokenCount"));
    replace(figures_.thoughts, usage.get("thoughtsTokenCount"));
    replace(figures_.total, usage.get("totalTokenCount"));
    note_unknown_figures(usage,
                         {"promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount",
                          "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount",
                          "trafficType", "serviceTier"},
                         draft);
    modalities_.prompt.read(usage.get("promptTokensDetails"));
    modalities_.cached.read(usage.get("cacheTokensDetails"));
    modalities_.tool.read(usage.get("toolUsePromptTokensDetails"));
    modalities_.candidates.read(usage.get("candidatesTokensDetails"));
    if (const auto traffic = usage.get("trafficType").text()) {
      draft.service_tier = tier_of_traffic(*traffic);
    }
    if (const auto tier = usage.get("serviceTier").text()) {
      std::string word = *tier;
      for (char& c : word) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      if (word.starts_with("service_tier_")) word.erase(0, 13);
      if (word != "unspecified") draft.service_tier = clean_tier(word);
    }
  }

  void on_clear() override { document_searches_ = 0; }

  const bool code_assist_;
  GeminiFigures figures_;
  ModalityLists modalities_;
  std::string reason_;
  int64_t searches_ = 0;
  int64_t document_searches_ = 0;
};

class GeminiInteractions final : public Shape {
 public:
  std::span<const SkimPath> fields() const override { return kFields; }

  void on_document(std::string_view event_name, Draft& draft) override {
    collect_error(kError, draft);
    const std::string type = kind(kType, event_name);
    const bool event = has(kNestedId) || !type.empty();
    const std::string model = text(event ? kNestedModel : kModel);
    const std::string id = text(event ? kNestedId : kId);
    if (!model.empty()) draft.model = clean_model(model);
    if (!id.empty()) draft.response_id = clean_word(id);
    if (event) {
      if (type == "interaction.completed") {
        draft.terminal = true;
        read_usage(field(kNestedUsage), draft);
      }
      return;
    }
    const std::string status = text(kStatus);
    draft.background = status == "queued" || status == "in_progress";
    if (status == "failed") draft.error.present = true;
    if (!draft.background) read_usage(field(kUsage), draft);
  }

 private:
  enum : size_t {
    kType,
    kId,
    kModel,
    kStatus,
    kUsage,
    kNestedId,
    kNestedModel,
    kNestedUsage,
    kError,
    kCount,
  };
  static constexpr std::array<SkimPath, kCount> kFields = {{{"event_type"},
                                                            {"id"},
                                                            {"model"},
                                                            {"status"},
                                                            {"usage"},
                                                            {"interaction.id"},
                                                            {"interaction.model"},
                                                            {"interaction.usage"},
                                                            {"error"}}};

  static void read_usage(std::string_view json, Draft& draft) {
    const JsonDocument document(json);
    const JsonView usage = document.root();
    if (!usage.tells_figures()) return;
    draft.usage_seen = draft.final_usage = true;
    GeminiFigures figures;
    figures.prompt = usage.get("total_input_tokens").figure();
    figures.cached = usage.get("total_cached_tokens").figure();
    figures.tool = usage.get("total_tool_use_tokens").figure();
    figures.candidates = usage.get("total_output_tokens").figure();
    figures.thoughts = usage.get("total_thought_tokens").figure();
    figures.total = usage.get("total_tokens").figure();
    draft.usage = figures.buckets();
    ModalityLists modalities;
    modalities.prompt.read(usage.get("input_tokens_by_modality"), "tokens");
    modalities.cached.read(usage.get("cached_tokens_by_modality"), "tokens");
    modalities.tool.read(usage.get("tool_use_tokens_by_modality"), "tokens");
    modalities.candidates.read(usage.get("output_tokens_by_modality"), "tokens");
    modalities.add_parts(draft);
    const JsonView grounding = usage.get("grounding_tool_count");
    for (size_t i = 0; i < std::min<size_t>(grounding.size(), 16); ++i) {
      const JsonView tool = grounding.at(i);
      const std::string name = clean_word(tool.get("type").text().value_or(""), 60);
      if (!name.empty()) set_tool_calls(draft, name, tool.get("count").figure_or_zero());
    }
  }
};

}  // namespace

std::unique_ptr<Shape> make_gemini_generate(bool code_assist) {
  return std::make_unique<GeminiGenerate>(code_assist);
}
std::unique_ptr<Shape> make_gemini_interactions() {
  return std::make_unique<GeminiInteractions>();
}

}  // namespace hm::meter
