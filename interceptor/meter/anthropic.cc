// Anthropic: api.anthropic.com. `providers.md` 4.
#include "interceptor/meter/provider.h"

namespace hm::meter::providers {
namespace {

constexpr Route kRoutes[] = {
    {"POST", "/v1/messages", WireShape::anthropic_messages, "messages"},
    // For programs that speak OpenAI's shape only.
    {"POST", "/v1/chat/completions", WireShape::openai_chat, "chat.completions"},
    {"POST", "/v1/messages/count_tokens", WireShape::anthropic_messages, "messages.count_tokens",
     RouteUse::counting},
    {"GET", "/v1/messages/batches/*/results", WireShape::anthropic_batch_results,
     "messages.batch_result", RouteUse::batch},
};

}  // namespace

extern const Provider anthropic;
constexpr Provider anthropic{.name = "anthropic",
                             .id = "anthropic",
                             .rate_namespace = "anthropic",
                             .routes = kRoutes,
                             .billing = BillingRule::anthropic_login};

}  // namespace hm::meter::providers
