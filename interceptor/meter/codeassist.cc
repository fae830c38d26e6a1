// Gemini Code Assist: cloudcode-pa.googleapis.com (Gemini CLI with a login). `providers.md` 8.
#include "interceptor/meter/provider.h"

namespace hm::meter::providers {
namespace {

constexpr WireShape kShape = WireShape::codeassist_generate;

constexpr Route kRoutes[] = {
    {"POST", "/v1internal:generateContent", kShape, "codeassist.generate_content"},
    {"POST", "/v1internal:streamGenerateContent", kShape, "codeassist.stream_generate_content",
     RouteUse::call, "chat", true},
    {"POST", "/v1internal:countTokens", kShape, "codeassist.count_tokens", RouteUse::counting},
};

}  // namespace

extern const Provider codeassist;
constexpr Provider codeassist{.name = "codeassist",
                              .id = "gemini",
                              .rate_namespace = "gemini",
                              .routes = kRoutes,
                              .billing = BillingRule::subscription};

}  // namespace hm::meter::providers
