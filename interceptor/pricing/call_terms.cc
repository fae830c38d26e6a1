#include "interceptor/pricing/call_terms.h"

#include <algorithm>
#include <array>

namespace hm::pricing {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

struct TierWord {
  std::string_view provider;
  std::string_view word;
  std::string_view tier;
  bool prepaid = false;
};

constexpr std::array kTierWords = {
    TierWord{"anthropic", "priority", "standard", true},  // committed capacity
    TierWord{"anthropic", "fast", "fast"},                // usage.speed
    TierWord{"anthropic", "batch", "batch"},
    TierWord{"openai", "default", "standard"},
    TierWord{"openai", "priority", "fast"},  // what "fast" is called in answers
    TierWord{"openai", "fast", "fast"},
    TierWord{"openai", "flex", "flex"},
    TierWord{"openai", "batch", "batch"},
    TierWord{"openai", "ultrafast", "ultrafast"},
    TierWord{"openai", "scale", "standard", true},
    TierWord{"gemini", "on_demand", "standard"},  // usageMetadata.trafficType
    TierWord{"gemini", "on_demand_priority", "priority"},
    TierWord{"gemini", "on_demand_flex", "flex"},
    TierWord{"gemini", "provisioned_throughput", "standard", true},
    TierWord{"gemini", "provisioned", "standard", true},
    TierWord{"gemini", "priority", "priority"},
    TierWord{"gemini", "flex", "flex"},
    TierWord{"gemini", "batch", "batch"},
    TierWord{"xai", "default", "standard"},
    TierWord{"xai", "priority", "priority"},
    TierWord{"xai", "batch", "batch"},
};

bool has_table(std::string_view provider) {
  return std::any_of(kTierWords.begin(), kTierWords.end(),
                     [&](const TierWord& word) { return word.provider == provider; });
}

struct ToolWord {
  std::string_view provider;
  std::string_view tool;
  ToolTerm::Kind kind;
  std::string_view charge;
};

constexpr auto kPerCall = ToolTerm::Kind::per_call;
constexpr auto kFree = ToolTerm::Kind::free;
constexpr auto kNotCovered = ToolTerm::Kind::not_covered;

// Containers are charged by time and account, so no answer shows what they cost.
constexpr std::array kToolWords = {
    ToolWord{"anthropic", "web_search", kPerCall, "web_search"},
    ToolWord{"anthropic", "web_fetch", kPerCall, "web_fetch"},
    ToolWord{"anthropic", "code_execution", kNotCovered, ""},
    ToolWord{"anthropic", "tool_search", kFree, ""},
    ToolWord{"openai", "web_search", kPerCall, "web_search"},
    ToolWord{"openai", "file_search", kPerCall, "file_search"},
    ToolWord{"openai", "code_interpreter", kNotCovered, ""},
    ToolWord{"openai", "audio_seconds", ToolTerm::Kind::per_second, "audio_seconds"},
    ToolWord{"openai", "image_generation", kNotCovered, ""},  // another model's tokens, untold
    ToolWord{"openai", "transcription", kNotCovered, ""},     // by the minute, inside a session
    ToolWord{"gemini", "url_context", kFree, ""},             // its tokens are in the usage
    ToolWord{"gemini", "code_execution", kFree, ""},          // the same
    ToolWord{"xai", "web_search", kPerCall, "web_search"},
    ToolWord{"xai", "x_search", kPerCall, "x_search"},
    ToolWord{"xai", "code_interpreter", kPerCall, "code_execution"},
    ToolWord{"xai", "code_execution", kPerCall, "code_execution"},
    ToolWord{"xai", "document_search", kPerCall, "attachment_search"},
    ToolWord{"xai", "attachment_search", kPerCall, "attachment_search"},
    ToolWord{"xai", "file_search", kPerCall, "collections_search"},
    ToolWord{"xai", "collections_search", kPerCall, "collections_search"},
    ToolWord{"xai", "mcp", kPerCall, "mcp"},
    ToolWord{"xai", "view_image", kFree, ""},  // its tokens are in the usage
    ToolWord{"xai", "view_x_video", kFree, ""},
};

// The counters of the wire: web_search_requests (Anthropic), web_search_calls (xAI).
std::string_view plain_tool(std::string_view name) {
  for (const std::string_view ending : {"_requests", "_calls", "_call"})
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return name;
}

ToolTerm gemini_tool(std::string_view tool, std::string_view model, int64_t count) {
  ToolTerm term;
  const bool third = model.starts_with("gemini-3");
  const bool second = model.starts_with("gemini-2");
  const bool search = tool == "google_search" || tool == "web_search";
  const bool maps = tool == "google_maps";
  if (search && third) {
    term = {kPerCall, "google_search_gemini3", count, false};  // each query
  } else if (search && second) {
    term = {kPerCall, "google_search_gemini2", 1, false};  // each grounded request
  } else if (maps && third) {
    term = {kPerCall, "google_maps_gemini3", count, false};
  }
  return term;
}

}  // namespace

TierTerm tier_term(std::string_view provider, std::string_view served, std::string_view mode) {
  const std::string word = lower(served);
  // A batch line may well say "default": the endpoint decides.
  const std::string_view standard = mode == "batch" ? "batch" : "standard";
  if (word.empty() || word == "standard") return {std::string(standard), false};
  for (const TierWord& entry : kTierWords) {
    if (entry.provider != provider || entry.word != word) continue;
    const bool plain = entry.tier == "standard" && !entry.prepaid;
    return {std::string(plain ? standard : entry.tier), entry.prepaid};
  }
  if (has_table(provider)) return {};
  return {word == "default" ? std::string(standard) : word, false};  // a configured provider
}

std::optional<std::string> geo_term(std::string_view provider, std::string_view geo,
                                    std::string_view host) {
  const std::string word = lower(geo);
  const bool told = !word.empty() && word != "global" && word != "not_available";
  if (provider == "anthropic") {
    if (!told) return "";
    if (word == "us") return "us";
    return std::nullopt;
  }
  if (provider == "openai") {
    // Every data-residency host costs the same.
    if (host.ends_with(".api.openai.com")) return "regional";
    if (!told || word == "api.openai.com") return "";
    if (word == "regional" || word.size() == 2 || word.ends_with(".api.openai.com"))
      return "regional";
    return std::nullopt;
  }
  if (provider == "xai") {
    std::string_view place = told ? std::string_view(word) : host;
    if (place.ends_with(".api.x.ai")) place.remove_suffix(9);
    if (place == "us" || place.starts_with("us-")) return "us";
    if (!told && host.ends_with(".api.x.ai")) return std::nullopt;  // a region without a known rule
    if (told && word != "api.x.ai") return std::nullopt;
    return "";
  }
  if (told && provider == "gemini") return std::nullopt;
  return "";
}

ToolTerm tool_term(std::string_view provider, std::string_view model, const ToolCalls& calls) {
  const std::string_view tool = plain_tool(calls.name);
  for (const ToolWord& word : kToolWords) {
    if (word.provider != provider || word.tool != tool) continue;
    ToolTerm term{word.kind, std::string(word.charge), calls.count, false};
    // A search of these is billed as a fixed block of 8,000 input tokens.
    if (provider == "openai" && tool == "web_search")
      term.hidden_tokens = model == "gpt-4o-mini" || model == "gpt-4.1-mini";
    return term;
  }
  if (provider == "gemini") return gemini_tool(tool, model, calls.count);
  if (provider == "openai" && tool == "web_search_preview" && !model.empty()) {
    const bool reasons = !model.starts_with("gpt-4") && !model.starts_with("gpt-3");
    return {kPerCall, reasons ? "web_search_preview_reasoning" : "web_search_preview_non_reasoning",
            calls.count, false};
  }
  if (has_table(provider)) return {};
  return {kPerCall, calls.name, calls.count, false};  // a configured provider: if its rates name it
}

}  // namespace hm::pricing
