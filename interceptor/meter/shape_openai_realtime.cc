// OpenAI Realtime: the events of one response of a session. `providers.md` 5.5.
#include <algorithm>
#include <array>

#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

class OpenAiRealtime final : public Shape {
 public:
  std::span<const SkimPath> fields() const override { return kFields; }

  void on_document(std::string_view event_name, Draft& draft) override {
    const std::string type = kind(kType, event_name);
    if (type == "error") return collect_error(kError, draft);
    if (!type.starts_with("response.")) return;
    if (const std::string id = text(kId); !id.empty()) draft.response_id = clean_word(id);
    if (const std::string model = text(kModel); !model.empty()) draft.model = clean_model(model);
    if (type != "response.done") return;
    draft.terminal = true;
    const JsonDocument details_json(field(kDetails));
    const JsonView details = details_json.root();
    draft.stop_reason = clean_word(details.get("reason").text().value_or(""));
    if (text(kStatus) == "failed") {
      ErrorWords error;
      error.present = true;
      error.add_error(details.get("error"));
      draft.error = error;
    }
    const JsonDocument usage(field(kUsage));
    if (!usage.root().tells_figures()) return;
    draft.usage_seen = draft.final_usage = true;
    draft.usage = realtime_usage(usage.root(), draft);
  }

 private:
  enum : size_t { kType, kError, kId, kModel, kStatus, kDetails, kUsage };
  static constexpr std::array<SkimPath, 7> kFields = {{{"type"},
                                                       {"error"},
                                                       {"response.id"},
                                                       {"response.model"},
                                                       {"response.status"},
                                                       {"response.status_details"},
                                                       {"response.usage"}}};
};

}  // namespace

Usage realtime_usage(JsonView usage, Draft& draft) {
  Usage result;
  const int64_t whole = usage.get("input_tokens").figure_or_zero();
  // Singular `token`, unlike the Responses API; both are read.
  JsonView in = usage.get("input_token_details");
  if (!in.is_object()) in = usage.get("input_tokens_details");
  const int64_t cached = in.get("cached_tokens").figure_or_zero();
  result.cache_read_tokens = cached;
  result.input_tokens = whole >= cached ? whole - cached : whole;

  const JsonView cached_parts = in.get("cached_tokens_details");
  const auto part = [&](const char* key, const char* fresh_bucket, const char* cached_bucket) {
    const int64_t all = in.get(key).figure_or_zero();
    const int64_t read = std::min(cached_parts.get(key).figure_or_zero(), cached);
    if (all > 0 && cached > 0 && !cached_parts.is_object()) {
      draft.bucket_doubt = "cached_modality";  // which of them were cached is not told
    }
    add_part(result, cached_bucket, read);
    add_part(result, fresh_bucket, std::clamp<int64_t>(all - read, 0, result.input_tokens));
  };
  part("audio_tokens", "input_audio", "cache_read_audio");
  part("image_tokens", "input_image", "cache_read_image");

  result.output_tokens = usage.get("output_tokens").figure_or_zero();
  JsonView out = usage.get("output_token_details");
  if (!out.is_object()) out = usage.get("output_tokens_details");
  result.thinking_tokens =
      std::min(out.get("reasoning_tokens").figure_or_zero(), result.output_tokens);
  add_part(result, "output_audio",
           std::min(out.get("audio_tokens").figure_or_zero(), result.output_tokens));
  return result;
}

std::unique_ptr<Shape> make_openai_realtime() {
  return std::make_unique<OpenAiRealtime>();
}

}  // namespace hm::meter
