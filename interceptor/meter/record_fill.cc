#include "interceptor/meter/record_fill.h"

#include <utility>

#include "interceptor/meter/header_facts.h"

namespace hm::meter {
namespace {

bool is_openai_shape(WireShape shape) {
  return shape == WireShape::openai_chat || shape == WireShape::openai_responses ||
         shape == WireShape::openai_realtime;
}

// OpenAI tells one number for writes of either lifetime; which it was is in the request (5.2).
void split_writes(CallRecord& record, const std::string& asked) {
  const int64_t written = record.usage.cache_write_5m_tokens;
  record.cache_lifetime = asked;
  if (written == 0 || record.rate_namespace != "openai") return;
  if (asked.empty() || asked == "30m" || asked == "12h") {
    add_part(record.usage, "cache_write_" + (asked.empty() ? "30m" : asked), written);
  } else {
    record.bucket_doubt = "cache_lifetime";
  }
}

}  // namespace

std::string_view billing_of(const Provider& provider, const http::RequestHead& head) {
  if (provider.billing == BillingRule::subscription) return "subscription";
  constexpr std::string_view kLogin = "sk-ant-oat";
  if (provider.billing == BillingRule::anthropic_login && bearer_token(head).starts_with(kLogin)) {
    return "subscription";
  }
  return "api";
}

std::string region_of(std::string_view host) {
  for (const std::string_view base : {".api.openai.com", ".api.x.ai"}) {
    if (host.ends_with(base)) return clean_word(host.substr(0, host.size() - base.size()), 40);
  }
  return {};
}

void fill_attribution(CallRecord& record, const Attribution& attribution) {
  std::string name = std::move(record.attribution.client_name);
  std::string version = std::move(record.attribution.client_version);
  record.attribution = attribution;
  if (name.empty()) return;
  record.attribution.client_name = std::move(name);
  record.attribution.client_version = std::move(version);
}

void fill_from_draft(CallRecord& record, Draft&& draft, const RequestFacts& asked,
                     WireShape shape) {
  record.usage = std::move(draft.usage);
  record.extra_usage = std::move(draft.extra_usage);
  record.iterations = std::move(draft.iterations);
  record.tool_calls = std::move(draft.tool_calls);
  record.counted_tokens = draft.counted_tokens;
  record.provider_cost_pico_usd = draft.provider_cost_pico_usd;
  record.bucket_doubt = std::move(draft.bucket_doubt);
  // Compatible services add fields of their own all the time; there it means nothing.
  const bool built_in = provider_for_host(record.host) != nullptr;
  if (built_in && record.bucket_doubt.empty() && !draft.unknown_figure.empty())
    record.bucket_doubt = "unknown_usage_field:" + draft.unknown_figure;
  record.stop_reason = std::move(draft.stop_reason);
  record.response_id = std::move(draft.response_id);
  if (!draft.service_tier.empty()) record.service_tier = std::move(draft.service_tier);
  if (!draft.geo.empty()) record.geo = std::move(draft.geo);
  if (record.provider_request_id.empty()) record.provider_request_id = record.response_id;
  if (!record.retry_after_s) record.retry_after_s = draft.error.retry_after_s;
  if (is_openai_shape(shape)) split_writes(record, asked.cache_lifetime);

  record.mode = record.stream ? "streaming" : "standard";
  if (asked.thinking || record.usage.thinking_tokens > 0) record.mode = "thinking";
}

void fill_error(CallRecord& record, const ErrorWords& error, std::string_view kind,
                std::optional<int> status) {
  record.status = CallStatus::error;
  record.error_kind = kind;
  record.error_class = locked_error_class(kind, error, status);
  record.provider_error_code = error.code;
}

}  // namespace hm::meter
