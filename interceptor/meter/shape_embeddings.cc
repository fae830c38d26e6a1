// Embeddings: OpenAI's, and Gemini's, which mostly report nothing. `providers.md` 5.4, 7.1.
#include <array>

#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

class OpenAiEmbeddings final : public Shape {
 public:
  std::span<const SkimPath> fields() const override { return kFields; }

  void on_document(std::string_view, Draft& draft) override {
    collect_error(kError, draft);
    if (const std::string model = text(kModel); !model.empty()) draft.model = clean_model(model);
    if (has(kId)) draft.response_id = clean_word(text(kId));
    const JsonDocument document(field(kUsage));
    const JsonView usage = document.root();
    if (!usage.tells_figures()) return;
    draft.usage_seen = draft.terminal = true;
    const auto prompt = usage.get("prompt_tokens").figure();
    draft.usage.input_tokens = prompt ? *prompt : usage.get("total_tokens").figure_or_zero();
    read_reported_extras(usage, draft);
  }

 private:
  enum : size_t { kId, kModel, kUsage, kError };
  static constexpr std::array<SkimPath, 4> kFields = {{{"id"}, {"model"}, {"usage"}, {"error"}}};
};

class GeminiEmbed final : public Shape {
 public:
  std::span<const SkimPath> fields() const override { return kFields; }

  void on_document(std::string_view, Draft& draft) override {
    collect_error(kError, draft);
    if (const std::string model = text(kModel); !model.empty()) draft.model = clean_model(model);
    const JsonDocument document(field(kUsage));
    const auto prompt = document.root().get("promptTokenCount").figure();
    if (!prompt) return;
    draft.usage_seen = draft.terminal = true;
    draft.usage.input_tokens = *prompt;
  }

 private:
  enum : size_t { kModel, kUsage, kError };
  static constexpr std::array<SkimPath, 3> kFields = {
      {{"modelVersion"}, {"usageMetadata"}, {"error"}}};
};

}  // namespace

std::unique_ptr<Shape> make_openai_embeddings() {
  return std::make_unique<OpenAiEmbeddings>();
}
std::unique_ptr<Shape> make_gemini_embed() {
  return std::make_unique<GeminiEmbed>();
}

}  // namespace hm::meter
