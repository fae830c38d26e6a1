// OpenAI images, transcription and speech: one usage object, at the top of the body or of the event
// that ends the stream. `providers.md` 5.4. xAI's images tell only what they cost (9).
#include <algorithm>
#include <array>
#include <cmath>

#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

constexpr double kMaxSeconds = 1e7;  // four months; nothing that anybody uploads

class OpenAiMedia final : public Shape {
 public:
  explicit OpenAiMedia(WireShape shape) : shape_(shape) {}

  std::span<const SkimPath> fields() const override { return kFields; }

  void on_document(std::string_view event_name, Draft& draft) override {
    collect_error(kError, draft);
    if (const std::string model = text(kModel); !model.empty()) draft.model = clean_model(model);
    const std::string type = kind(kType, event_name);
    if (type == "image_generation.completed" || type == "image_edit.completed" ||
        type == "transcript.text.done" || type == "speech.audio.done") {
      draft.terminal = true;
    } else if (!type.empty()) {
      return;  // parts on the way carry no usage
    }
    const JsonDocument document(field(kUsage));
    const JsonView usage = document.root();
    if (!usage.tells_figures()) return;
    draft.usage_seen = true;
    read_reported_extras(usage, draft);
    if (usage.get("type").text() == "duration") {
      // Charged by the length of the audio, no tokens. Seconds are what the bill is made of.
      const auto seconds = usage.get("seconds").number();
      if (seconds && *seconds >= 0 && *seconds < kMaxSeconds)
        set_tool_calls(draft, "audio_seconds", std::llround(*seconds));
      else
        draft.bucket_doubt = "per_minute";
      return;
    }
    draft.usage = read_usage(usage, draft);
  }

 private:
  enum : size_t { kType, kModel, kUsage, kError };
  static constexpr std::array<SkimPath, 4> kFields = {{{"type"}, {"model"}, {"usage"}, {"error"}}};

  [[nodiscard]] Usage read_usage(JsonView usage, Draft& draft) const {
    // Images write `details`, transcription `input_token_details`, in the singular.
    const JsonView plural = usage.get("input_tokens_details");
    const JsonView in = plural.is_object() ? plural : usage.get("input_token_details");
    const JsonView out = usage.get("output_tokens_details");
    Usage result;
    result.input_tokens = usage.get("input_tokens").figure_or_zero();
    result.output_tokens = usage.get("output_tokens").figure_or_zero();
    const auto part = [](JsonView details, std::string_view name, int64_t whole) {
      return std::min(details.get(name).figure_or_zero(), whole);
    };
    // Newer image models read references from a cache.
    const int64_t cached = part(in, "cached_tokens", result.input_tokens);
    const JsonView cached_in = in.get("cached_tokens_details");
    result.cache_read_tokens = cached;
    result.input_tokens -= cached;
    for (const char* kind : {"audio", "image"}) {
      const std::string name = std::string(kind) + "_tokens";
      const int64_t all = in.get(name).figure_or_zero();
      const int64_t read = part(cached_in, name, cached);
      add_part(result, std::string("cache_read_") + kind, read);
      add_part(result, std::string("input_") + kind,
               std::clamp<int64_t>(all - read, 0, result.input_tokens));
      if (cached > 0 && all > 0 && !cached_in.is_object()) draft.bucket_doubt = "cached_modality";
    }
    if (out.is_object()) {
      add_part(result, "output_image", part(out, "image_tokens", result.output_tokens));
      add_part(result, "output_audio", part(out, "audio_tokens", result.output_tokens));
    } else if (shape_ == WireShape::openai_images) {
      add_part(result, "output_image", result.output_tokens);
    } else if (shape_ == WireShape::openai_speech) {
      add_part(result, "output_audio", result.output_tokens);
    }
    return result;
  }

  const WireShape shape_;
};

}  // namespace

std::unique_ptr<Shape> make_openai_media(WireShape shape) {
  return std::make_unique<OpenAiMedia>(shape);
}

}  // namespace hm::meter
