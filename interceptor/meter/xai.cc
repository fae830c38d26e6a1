// xAI: api.x.ai. `providers.md` 9.
#include "interceptor/meter/provider.h"

namespace hm::meter::providers {
namespace {

constexpr Route kRoutes[] = {
    {"POST", "/v1/chat/completions", WireShape::openai_chat, "chat.completions"},
    {"GET", "/v1/chat/deferred-completion/{id}", WireShape::openai_chat, "chat.completions",
     RouteUse::retrieval},
    {"POST", "/v1/completions", WireShape::openai_chat, "completions"},
    {"POST", "/v1/complete", WireShape::openai_chat, "completions"},
    {"POST", "/v1/responses", WireShape::openai_responses, "responses"},
    {"GET", "/v1/responses", WireShape::openai_responses, "responses", RouteUse::websocket},
    {"GET", "/v1/responses/{id}", WireShape::openai_responses, "responses", RouteUse::retrieval},
    {"POST", "/v1/messages", WireShape::anthropic_messages, "messages"},
    {"POST", "/v1/embeddings", WireShape::openai_embeddings, "embeddings", RouteUse::call,
     "embedding"},
    {"POST", "/v1/images/generations", WireShape::openai_images, "images", RouteUse::call, "image"},
    {"POST", "/v1/images/edits", WireShape::openai_images, "images", RouteUse::call, "image"},
    {"POST", "/v1/videos/*", WireShape::openai_images, "images", RouteUse::call, "image"},
    {"GET", "/v1/realtime", WireShape::openai_realtime, "realtime", RouteUse::websocket, "audio"},
};

}  // namespace

extern const Provider xai;
constexpr Provider xai{.name = "xai",
                       .id = "xai",
                       .rate_namespace = "xai",
                       .routes = kRoutes,
                       .additive_reasoning = true};

}  // namespace hm::meter::providers
