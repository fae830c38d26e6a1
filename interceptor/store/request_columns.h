// The columns of `requests`, once: the statements and what is bound to them come from the same
// list. Inside this folder only.
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "interceptor/call_record.h"
#include "interceptor/pricing/pico_usd.h"
#include "interceptor/pricing/price.h"
#include "interceptor/store/schema.h"

namespace hm::store {

inline const char* status_text(CallStatus status) {
  switch (status) {
    case CallStatus::success:
      return "success";
    case CallStatus::error:
      return "error";
    case CallStatus::cancelled:
      return "cancelled";
    case CallStatus::truncated:
      return "truncated";
  }
  return "error";
}

inline std::optional<int64_t> millicents_of(const pricing::PriceResult& price) {
  if (!price.cost_pico_usd) return std::nullopt;
  return static_cast<int64_t>(pricing::PicoUsd(*price.cost_pico_usd).millicents());
}

// In the order of the table: then SQLite takes a row as it comes.
// visit.kept(name, value): stays when the same response is seen again. visit.fresh: is replaced.
// visit.kept_text, fresh_text: an empty string is null. What is given as an lvalue lives as long as
// the record, the price and the project's id.
template <class Visitor>
void visit_columns(Visitor& visit, const CallRecord& r, const pricing::PriceResult& price,
                   const std::string& project_id) {
  using std::optional;
  const Usage& u = r.usage;
  const Attribution& a = r.attribution;
  visit.kept("id", r.id);
  visit.kept("project_id", project_id);
  visit.kept("provider", r.provider);
  visit.fresh("host", r.host);
  visit.fresh("model", r.model);
  visit.kept_text("requested_model", r.requested_model);
  visit.kept("endpoint", r.endpoint);
  visit.kept("mode", r.mode);
  visit.kept("request_kind", r.request_kind);
  visit.kept("stream", int64_t{r.stream});
  visit.kept("transport", r.transport);
  visit.fresh("input_tokens", u.input_tokens);
  visit.fresh("output_tokens", u.output_tokens);
  visit.fresh("thinking_tokens", u.thinking_tokens);
  visit.fresh("cache_read_tokens", u.cache_read_tokens);
  visit.fresh("cache_write_tokens", u.cache_write_5m_tokens + u.cache_write_1h_tokens);
  visit.fresh("cache_write_5m_tokens", u.cache_write_5m_tokens);
  visit.fresh("cache_write_1h_tokens", u.cache_write_1h_tokens);
  visit.fresh("counted_tokens", r.counted_tokens);
  visit.fresh("tokens_complete", int64_t{r.tokens_complete});
  visit.fresh_text("incomplete_reason", r.incomplete_reason);
  visit.fresh_text("stop_reason", r.stop_reason);
  visit.fresh_text("service_tier", r.service_tier);
  visit.fresh_text("geo", r.geo);
  visit.fresh("billing", r.billing);
  visit.fresh("cost_usd_minor_units", millicents_of(price));
  visit.fresh("cost_pico_usd", price.cost_pico_usd);
  visit.fresh("shadow_cost_pico_usd", price.shadow_cost_pico_usd);
  visit.fresh("provider_cost_pico_usd", r.provider_cost_pico_usd);
  visit.fresh_text("unpriced_reason", price.reason);
  visit.fresh_text("rates_source", price.rates_source);
  visit.fresh_text("rate_namespace", r.rate_namespace);
  visit.fresh_text("card_id", price.card_id);
  visit.fresh_text("price_entry", price.entry);
  visit.fresh_text("price_period", price.period_from);
  visit.fresh_text("price_tier", price.tier);
  visit.fresh("price_long_context", int64_t{price.long_context});
  visit.fresh_text("price_geo", price.geo);
  visit.kept("requested_at", iso8601_utc(r.requested_at_us));
  visit.kept("latency_ms", r.duration_us / 1000);
  visit.kept("ttfb_us", r.ttfb_us);
  visit.kept("duration_us", r.duration_us);
  visit.kept("bytes_up", r.bytes_up);
  visit.kept("bytes_down", r.bytes_down);
  visit.fresh("status", std::string(status_text(r.status)));
  visit.fresh("http_status", r.http_status ? optional<int64_t>(*r.http_status) : std::nullopt);
  visit.fresh_text("error_class", r.error_class);
  visit.fresh_text("error_kind", r.error_kind);
  visit.fresh_text("provider_error_code", r.provider_error_code);
  visit.kept_text("provider_request_id", r.provider_request_id);
  visit.kept_text("response_id", r.response_id);
  visit.kept("retry_after_s", r.retry_after_s);
  visit.kept_text("client_name", a.client_name);
  visit.kept_text("client_version", a.client_version);
  visit.kept("client_pid", a.client_pid > 0 ? optional<int64_t>(a.client_pid) : std::nullopt);
  visit.kept_text("session_id", r.session_id);
  visit.kept_text("cwd", a.cwd);
  visit.kept_text("git_branch", a.git_branch);
  visit.kept_text("attribution_tier", a.tier);
  visit.kept_text("call_id", r.call_id);
  visit.kept_text("run_id", a.run_id);
  visit.kept("schema_version", kSchemaVersion);
  visit.kept_text("cache_lifetime", r.cache_lifetime);
  visit.fresh_text("bucket_doubt", r.bucket_doubt);
  visit.kept_text("key_print", r.key_print);
  visit.kept("client_retry", r.client_retry);
}

}  // namespace hm::store
