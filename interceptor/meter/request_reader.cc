#include "interceptor/meter/request_reader.h"

#include <array>

#include "interceptor/meter/json_text.h"
#include "interceptor/meter/json_value.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

enum : size_t {
  kModel,
  kNestedModel,
  kStream,
  kStreamFormat,
  kIncludeUsage,
  kThinkingType,
  kEffort,
  kNestedEffort,
  kThinkingConfig,
  kSnakeThinkingConfig,
  kNestedThinkingConfig,
  kThinkingLevel,
  kCacheLifetime,
  kUserId,
  kSession,
  kPathCount,
};

// One table for all providers: the names do not clash.
constexpr std::array<SkimPath, kPathCount> kPaths = {
    {{"model"},
     {"request.model"},  // Code Assist's countTokens
     {"stream"},
     {"stream_format"},
     {"stream_options.include_usage"},
     {"thinking.type"},
     {"reasoning_effort"},
     {"reasoning.effort"},
     {"generationConfig.thinkingConfig"},
     {"generation_config.thinking_config"},
     {"request.generationConfig.thinkingConfig"},
     {"generation_config.thinking_level"},  // Interactions
     {"prompt_cache_options.ttl"},
     {"metadata.user_id"},
     {"request.session_id"}}};

bool turns_thinking_on(JsonView config) {
  for (const auto* name : {"thinkingLevel", "thinking_level"}) {
    if (!config.get(name).text().value_or("").empty()) return true;
  }
  for (const auto* name : {"thinkingBudget", "thinking_budget"}) {
    // -1 lets the model choose: anything but 0 is on.
    if (const auto budget = config.get(name).number(); budget && *budget != 0) return true;
  }
  return config.get("includeThoughts").truth().value_or(false) ||
         config.get("include_thoughts").truth().value_or(false);
}

// Claude Code: user_<hash>_account_<uuid>_session_<uuid>. Only the session part is ours to keep.
std::string session_in(std::string_view user_id) {
  constexpr std::string_view kMark = "_session_";
  const size_t at = user_id.rfind(kMark);
  if (at == std::string_view::npos) return {};
  const std::string_view id = user_id.substr(at + kMark.size());
  const bool uuid =
      id.size() == 36 && id.find_first_not_of("0123456789abcdefABCDEF-") == std::string_view::npos;
  return uuid ? std::string(id) : std::string();
}

}  // namespace

RequestReader::RequestReader(const http::RequestHead& head) : skim_(kPaths, *this) {
  const http::DecoderLimits limits;
  auto decoder = http::Decoder::create(head.header("content-encoding"), limits, *this);
  if (decoder) {
    decoder_ = std::move(*decoder);
  } else {
    done_ = true;
  }
  const std::string_view type = head.header("content-type");
  if (type.starts_with("multipart/")) multipart_ = std::make_unique<Multipart>(type);
}

void RequestReader::feed(Bytes body) {
  if (!done_ && !decoder_->feed(body)) done_ = true;
}

void RequestReader::finish() {
  if (!done_) std::ignore = decoder_->finish();
  done_ = true;
  if (multipart_ == nullptr) return;
  facts_.model = clean_model(multipart_->model());
  facts_.stream = multipart_->stream() || multipart_->stream_format() == "sse";
}

void RequestReader::on_decoded(Bytes bytes) {
  if (multipart_ != nullptr) {
    multipart_->feed(bytes);
  } else if (!skim_.in_error()) {
    std::ignore = skim_.feed(bytes);
  }
}

void RequestReader::on_value(size_t path, std::string_view json) {
  const std::string text = string_of(json).value_or("");
  switch (path) {
    case kModel:
      facts_.model = clean_model(text);
      break;
    case kNestedModel:
      if (facts_.model.empty()) facts_.model = clean_model(text);
      break;
    case kStream:
      facts_.stream = json == "true";
      break;
    case kStreamFormat:
      if (text == "sse") facts_.stream = true;
      break;
    case kIncludeUsage:
      facts_.include_usage = json == "true";
      break;
    case kThinkingType:
      if (text == "enabled" || text == "adaptive") facts_.thinking = true;
      break;
    case kEffort:
    case kNestedEffort:
    case kThinkingLevel:
      if (!text.empty() && text != "none") facts_.thinking = true;
      break;
    case kThinkingConfig:
    case kSnakeThinkingConfig:
    case kNestedThinkingConfig:
      if (turns_thinking_on(JsonDocument(json).root())) facts_.thinking = true;
      break;
    case kCacheLifetime:
      facts_.cache_lifetime = clean_word(text, 16);
      break;
    case kUserId:
      facts_.session_id = session_in(text);
      break;
    case kSession:
      facts_.session_id = clean_word(text);
      break;
    default:
      break;
  }
}

}  // namespace hm::meter
