// What the meters of an HTTP exchange and of a WebSocket turn do alike when they write a record.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "interceptor/call_record.h"
#include "interceptor/http/exchange.h"
#include "interceptor/meter/error_class.h"
#include "interceptor/meter/provider.h"
#include "interceptor/meter/request_reader.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {

// api or subscription. The prefix of a token is looked at, nothing of it is kept (4.7).
[[nodiscard]] std::string_view billing_of(const Provider& provider, const http::RequestHead& head);

// us.api.openai.com, us-east-1.api.x.ai: regional hosts cost more. Empty for the others.
[[nodiscard]] std::string region_of(std::string_view host);

// The connection's attribution; the client's own name for itself is kept before the process's.
void fill_attribution(CallRecord& record, const Attribution& attribution);

// Usage and words of the answer, and the mode; what the heads told is kept where the answer says
// nothing. The model is left to the caller.
void fill_from_draft(CallRecord& record, Draft&& draft, const RequestFacts& asked, WireShape shape);

void fill_error(CallRecord& record, const ErrorWords& error, std::string_view kind,
                std::optional<int> status);

}  // namespace hm::meter
