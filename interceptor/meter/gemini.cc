// Gemini API: generativelanguage.googleapis.com. `providers.md` 7.
#include "interceptor/meter/provider.h"

namespace hm::meter::providers {
namespace {

constexpr WireShape kGenerate = WireShape::gemini_generate;
constexpr WireShape kEmbed = WireShape::gemini_embed;

constexpr Route kRoutes[] = {
    {"POST", "/v1*/models/{model}:generateContent", kGenerate, "generate_content"},
    {"POST", "/v1*/tunedModels/{model}:generateContent", kGenerate, "generate_content"},
    {"POST", "/v1*/models/{model}:streamGenerateContent", kGenerate, "stream_generate_content",
     RouteUse::call, "chat", true},
    {"POST", "/v1*/tunedModels/{model}:streamGenerateContent", kGenerate, "stream_generate_content",
     RouteUse::call, "chat", true},
    {"POST", "/v1*/models/{model}:countTokens", kGenerate, "count_tokens", RouteUse::counting},
    {"POST", "/v1*/tunedModels/{model}:countTokens", kGenerate, "count_tokens", RouteUse::counting},
    {"POST", "/v1*/models/{model}:embedContent", kEmbed, "embed_content", RouteUse::call,
     "embedding"},
    {"POST", "/v1*/models/{model}:batchEmbedContents", kEmbed, "batch_embed_contents",
     RouteUse::call, "embedding"},
    {"POST", "/v1*/models/{model}:predict", kGenerate, "predict", RouteUse::unmetered, "image"},
    {"POST", "/v1*/models/{model}:predictLongRunning", kGenerate, "predict", RouteUse::unmetered,
     "image"},
    {"POST", "/v1*/openai/chat/completions", WireShape::openai_chat, "chat.completions"},
    {"POST", "/v1*/openai/embeddings", WireShape::openai_embeddings, "embeddings", RouteUse::call,
     "embedding"},
    {"POST", "/v1*/openai/images/generations", WireShape::openai_images, "images", RouteUse::call,
     "image"},
    {"POST", "/v1*/interactions", WireShape::gemini_interactions, "interactions"},
    {"GET", "/v1*/interactions/{id}", WireShape::gemini_interactions, "interactions",
     RouteUse::retrieval},
    {"GET", "**/ws/google.ai.generativelanguage.**BidiGenerateContent**", kGenerate, "live",
     RouteUse::websocket},
};

}  // namespace

extern const Provider gemini;
constexpr Provider gemini{
    .name = "gemini", .id = "gemini", .rate_namespace = "gemini", .routes = kRoutes};

}  // namespace hm::meter::providers
