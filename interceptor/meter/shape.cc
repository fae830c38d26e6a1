#include "interceptor/meter/shape.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "interceptor/meter/json_text.h"
#include "interceptor/meter/secret_shape.h"

namespace hm::meter {
namespace {

constexpr size_t kMaxModel = 200;

class ErrorShape final : public Shape {
 public:
  std::span<const SkimPath> fields() const override { return kFields; }

  void on_document(std::string_view, Draft& draft) override {
    collect_error(kError, draft);
    // Beside the error, for those who put it at the top (xAI, Mistral, OpenAI's flat event).
    for (const size_t word : {kCode, kType}) {
      if (has(word)) draft.error.add_word(text(word));
    }
    if (has(kMessage)) draft.error.add_message(text(kMessage));
    if (has(kId)) draft.response_id = clean_word(text(kId));
  }

 private:
  enum : size_t { kError, kCode, kType, kMessage, kId };
  static constexpr std::array<SkimPath, 5> kFields = {
      {{"error"}, {"code"}, {"type"}, {"message"}, {"request_id"}}};
};

// As pico-USD. A figure that nobody would charge for one call is not believed.
std::optional<int64_t> dollars(JsonView view) {
  const auto amount = view.number();
  if (!amount || *amount < 0 || *amount > 100'000) return std::nullopt;
  return std::llround(*amount * 1e12);
}

}  // namespace

void Shape::on_value(size_t field, std::string_view json) {
  if (kept_.empty()) kept_.resize(fields().size());
  if (kept_[field].empty()) used_.push_back(static_cast<uint16_t>(field));
  kept_[field] = json;
}

void Shape::on_seen(size_t) {}
void Shape::on_done_mark(Draft&) {}
void Shape::finish(Draft&) {}

void Shape::clear_document() {
  for (const uint16_t field : used_) kept_[field].clear();
  used_.clear();
  on_clear();
}

bool Shape::has(size_t field) const {
  return field < kept_.size() && !kept_[field].empty();
}

std::string_view Shape::field(size_t field) const {
  return has(field) ? std::string_view(kept_[field]) : std::string_view();
}

std::string Shape::text(size_t index) const {
  return string_of(field(index)).value_or("");
}

std::string Shape::kind(size_t type_field, std::string_view event_name) const {
  std::string own = text(type_field);
  return own.empty() ? std::string(event_name) : own;
}

void Shape::collect_error(size_t index, Draft& draft) const {
  if (!has(index)) return;
  ErrorWords fresh;
  const JsonDocument document(field(index));
  fresh.add_error(document.root());
  // The last error that has a word decides (5.3).
  if (fresh.present && (!fresh.words.empty() || !draft.error.present)) draft.error = fresh;
}

std::unique_ptr<Shape> make_shape(WireShape shape, const Provider& provider) {
  switch (shape) {
    case WireShape::anthropic_messages:
      return make_anthropic_messages();
    case WireShape::anthropic_batch_results:
      return make_anthropic_batch();
    case WireShape::openai_batch_results:
      return make_openai_batch();
    case WireShape::openai_chat:
      return make_openai_chat(provider.additive_reasoning);
    case WireShape::openai_responses:
      return make_openai_responses();
    case WireShape::openai_realtime:
      return make_openai_realtime();
    case WireShape::openai_embeddings:
      return make_openai_embeddings();
    case WireShape::openai_images:
    case WireShape::openai_transcription:
    case WireShape::openai_speech:
      return make_openai_media(shape);
    case WireShape::gemini_generate:
    case WireShape::codeassist_generate:
      return make_gemini_generate(shape == WireShape::codeassist_generate);
    case WireShape::gemini_embed:
      return make_gemini_embed();
    case WireShape::gemini_interactions:
      return make_gemini_interactions();
  }
  return make_error_shape();
}

std::unique_ptr<Shape> make_error_shape() {
  return std::make_unique<ErrorShape>();
}

std::string clean_model(std::string_view model) {
  for (const std::string_view prefix : {"models/", "tunedModels/"}) {
    if (model.starts_with(prefix)) {
      model.remove_prefix(prefix.size());
      break;
    }
  }
  size_t length = std::min(model.size(), kMaxModel);
  // Never cut inside a character.
  while (length < model.size() && length > 0 &&
         (static_cast<uint8_t>(model[length]) & 0xC0U) == 0x80U) {
    --length;
  }
  std::string out;
  for (const char c : model.substr(0, length)) {
    if (static_cast<uint8_t>(c) >= 0x20 && c != 0x7F) out.push_back(c);
  }
  return out;
}

std::string clean_word(std::string_view word, size_t limit) {
  const bool plain =
      word.size() <= limit && !looks_like_secret(word) && std::ranges::all_of(word, [](char c) {
        return c > 0x20 && c < 0x7F && c != '"' && c != '\\' && c != '<' && c != '>';
      });
  return plain ? std::string(word) : std::string();
}

std::string clean_tier(std::string_view tier) {
  if (tier == "default") return "standard";
  if (tier == "auto") return {};
  return clean_word(tier, 40);
}

void add_part(Usage& usage, std::string_view bucket, int64_t tokens) {
  if (tokens <= 0) return;
  const auto known = std::ranges::find(usage.parts, bucket, &UsagePart::bucket);
  if (known != usage.parts.end()) {
    known->tokens += tokens;
  } else {
    usage.parts.push_back({std::string(bucket), tokens});
  }
}

void set_tool_calls(Draft& draft, std::string_view name, int64_t count) {
  if (count <= 0) return;
  const auto known = std::ranges::find(draft.tool_calls, name, &ToolCalls::name);
  if (known != draft.tool_calls.end()) {
    known->count = count;
  } else {
    draft.tool_calls.push_back({std::string(name), count});
  }
}

void note_unknown_figures(JsonView usage, std::initializer_list<std::string_view> known,
                          Draft& draft) {
  for (const auto& [key, value] : usage.members()) {
    if (!draft.unknown_figure.empty()) return;
    if (value.figure_or_zero() == 0 || std::ranges::find(known, key) != known.end()) continue;
    draft.unknown_figure = clean_word(key, 60);
  }
}

void read_reported_extras(JsonView usage, Draft& draft) {
  // With a key of the user's own, OpenRouter's cost is its fee and the model's price stands beside.
  if (const auto cost = dollars(usage.get("cost"))) {
    const bool own_key = usage.get("is_byok").truth().value_or(false);
    const JsonView upstream = usage.get("cost_details").get("upstream_inference_cost");
    draft.provider_cost_pico_usd = *cost + (own_key ? dollars(upstream).value_or(0) : 0);
  }
  if (const auto ticks = usage.get("cost_in_usd_ticks").figure()) {
    draft.provider_cost_pico_usd = *ticks * 100;  // 10^10 ticks to the dollar
  }
  read_tool_counters(usage.get("server_side_tool_usage_details"), "_calls", draft);
}

void read_tool_counters(JsonView counters, std::string_view ending, Draft& draft) {
  constexpr size_t kMaxTools = 32;
  size_t read = 0;
  for (const auto& [key, value] : counters.members()) {
    std::string_view name = key;
    if (name.ends_with(ending)) name.remove_suffix(ending.size());
    const std::string word = clean_word(name, 60);
    if (word.empty() || ++read > kMaxTools) continue;
    // What is told here is what is billed, whatever was counted elsewhere.
    const auto count = value.figure();
    if (count)
      std::erase_if(draft.tool_calls, [&](const auto& known) { return known.name == word; });
    if (count) set_tool_calls(draft, word, *count);
  }
}

}  // namespace hm::meter
