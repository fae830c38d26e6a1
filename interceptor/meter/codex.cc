// Codex with a ChatGPT login: chatgpt.com. `providers.md` 6. Only the paths of the model backend
// count; the rest of the host is a web site.
#include "interceptor/meter/provider.h"

namespace hm::meter::providers {
namespace {

constexpr Route kRoutes[] = {
    {"POST", "/backend-api/codex/responses", WireShape::openai_responses, "codex.responses"},
    {"GET", "/backend-api/codex/responses", WireShape::openai_responses, "codex.responses",
     RouteUse::websocket},
    {"POST", "/backend-api/codex/responses/compact", WireShape::openai_responses,
     "codex.responses.compact"},
    {"POST", "/backend-api/codex/images/generations", WireShape::openai_images, "codex.images",
     RouteUse::call, "image"},
    {"POST", "/backend-api/codex/images/edits", WireShape::openai_images, "codex.images",
     RouteUse::call, "image"},
    {"POST", "/backend-api/codex/memories/trace_summarize", WireShape::openai_responses,
     "codex.memories", RouteUse::unmetered},
    {"POST", "/backend-api/codex/search", WireShape::openai_responses, "codex.search",
     RouteUse::unmetered},
};

}  // namespace

extern const Provider codex;
constexpr Provider codex{.name = "codex",
                         .id = "openai",
                         .rate_namespace = "openai",
                         .routes = kRoutes,
                         .billing = BillingRule::subscription};

}  // namespace hm::meter::providers
