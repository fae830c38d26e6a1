#include "interceptor/meter/call_meter.h"

#include <algorithm>
#include <utility>

#include "common/base/counters.h"
#include "common/base/random_id.h"
#include "interceptor/meter/header_facts.h"
#include "interceptor/meter/record_fill.h"

namespace hm::meter {
namespace {

using http::EndKind;

}  // namespace

CallMeter::CallMeter(const Provider& provider, RouteMatch match, const ConnectionFacts& facts,
                     const Clock& clock, RecordSink& sink, const http::RequestHead& head)
    : provider_(provider),
      match_(std::move(match)),
      facts_(facts),
      clock_(clock),
      sink_(sink),
      request_(head),
      head_at_us_(clock.steady_us()) {
  const Route& route = *match_.route;
  base_.provider = provider.id;
  base_.rate_namespace = provider.rate_namespace;
  base_.endpoint = route.endpoint;
  base_.request_kind = route.request_kind;
  base_.billing = billing_of(provider, head);
  base_.requested_at_us = clock.wall_us();
  base_.session_id = session_of(head);
  base_.client_retry = client_retry(head);
  if (facts.key_printer != nullptr) base_.key_print = facts.key_printer->print(api_key(head));
  const ClientName client = client_name(head);
  base_.attribution.client_name = client.name;
  base_.attribution.client_version = client.version;
}

void CallMeter::request_body(Bytes body) {
  base_.bytes_up += static_cast<int64_t>(body.size());
  request_.feed(body);
}

void CallMeter::request_end() {
  request_.finish();
  request_end_us_ = clock_.steady_us();
}

void CallMeter::response_head(const http::ResponseHead& head) {
  start_us_ = request_end_us_.value_or(head_at_us_);
  to_response_head_us_ = clock_.steady_us() - *start_us_;
  base_.http_status = head.status;
  base_.provider_request_id = provider_request_id(head);
  cf_ray_ = clean_word(head.header("cf-ray"));
  base_.rate_limits = rate_limits(head, clock_.wall_us());
  base_.retry_after_s = retry_after(head, clock_.wall_us());
  base_.service_tier = clean_tier(head.header("x-gemini-service-tier"));
  served_model_header_ = clean_model(head.header("openai-model"));
  plan_exhausted_ = head.header("anthropic-ratelimit-unified-status") == "rejected";

  const bool error = head.status >= 400;
  shape_ = error ? make_error_shape() : make_shape(match_.route->shape, provider_);
  const bool lines = !error && match_.route->use == RouteUse::batch;
  response_ =
      std::make_unique<ResponseReader>(head, lines, *shape_, draft_, [this] { push_line(); });
}

void CallMeter::response_body(Bytes body) {
  if (body.empty()) return;
  if (!base_.ttfb_us) base_.ttfb_us = clock_.steady_us() - start_us_.value_or(head_at_us_);
  base_.bytes_down += static_cast<int64_t>(body.size());
  if (response_ != nullptr) response_->feed(body);
}

CallRecord CallMeter::make_record() {
  CallRecord record = base_;
  record.id = ordered_uuid();
  record.call_id = facts_.call_id;
  record.host = facts_.host;
  record.transport = facts_.transport;
  record.geo = region_of(facts_.host);
  record.duration_us =
      clock_.steady_us() - start_us_.value_or(request_end_us_.value_or(head_at_us_));

  if (start_us_ && !record.ttfb_us) record.ttfb_us = to_response_head_us_;
  fill_attribution(record, facts_.attribution);
  fill_request(record);
  return record;
}

void CallMeter::fill_request(CallRecord& record) const {
  const RequestFacts& asked = request_.facts();
  record.requested_model = asked.model.empty() ? clean_model(match_.model) : asked.model;
  const bool events = response_ != nullptr && response_->is_event_stream();
  record.stream = match_.route->streams || asked.stream.value_or(events);
  if (record.session_id.empty()) record.session_id = asked.session_id;
}

void CallMeter::fill_draft(CallRecord& record, Draft&& draft) const {
  const RequestFacts& asked = request_.facts();
  record.model = !draft.model.empty()            ? std::move(draft.model)
                 : !served_model_header_.empty() ? served_model_header_
                                                 : record.requested_model;
  // The path's id ties a deferred answer to the request that began it.
  if (match_.route->use == RouteUse::retrieval) draft.response_id = clean_word(match_.id);
  fill_from_draft(record, std::move(draft), asked, match_.route->shape);
  // The edge network answered by itself: its own id is the only one there is.
  if (record.provider_request_id.empty()) record.provider_request_id = cf_ray_;
  if (match_.route->use == RouteUse::batch) record.mode = "batch";
}

void CallMeter::push_line() {
  CallRecord record = make_record();
  Draft line = std::exchange(draft_, Draft{});
  record.tokens_complete = line.usage_seen;
  if (!line.usage_seen) record.incomplete_reason = "no_usage_in_response";
  if (line.service_tier.empty()) line.service_tier = "batch";
  if (!line.endpoint.empty()) record.endpoint = line.endpoint;
  if (!line.request_kind.empty()) record.request_kind = line.request_kind;
  fill_draft(record, std::move(line));
  record.bytes_up = record.bytes_down = 0;  // those of the download belong to no line
  push(std::move(record));
}

void CallMeter::push_unread_lines() {
  counters::get("meter.batch_unread").add();
  MissRecord miss;
  miss.at_us = clock_.wall_us();
  miss.host = facts_.host;
  miss.reason = response_->failure();
  miss.call_id = facts_.call_id;
  miss.detail = match_.route->endpoint;
  miss.bytes_down = base_.bytes_down;
  if (!sink_.push(std::move(miss))) counters::get("meter.record_refused").add();
}

void CallMeter::end(EndKind kind) {
  if (!request_end_us_) request_.finish();
  if (response_ != nullptr) {
    response_->finish();
    shape_->finish(draft_);
  }
  const bool failed = base_.http_status.value_or(0) >= 400;
  if (match_.route->use == RouteUse::batch) {
    // The lines were the records; what was not read of them is missing.
    if (!failed && response_ != nullptr && response_->failure() != nullptr) push_unread_lines();
    return;
  }
  CallRecord record = make_record();
  settle(record, kind);
  fill_draft(record, std::move(draft_));
  if (failed) {
    record.usage = {};
    record.iterations.clear();
  }
  // An answer asked for again is no call: it may complete the first record, nothing else.
  if (match_.route->use == RouteUse::retrieval && (failed || !record.tokens_complete)) return;
  push(std::move(record));
}

void CallMeter::detach(const char* reason) {
  if (match_.route->use == RouteUse::batch || match_.route->use == RouteUse::retrieval) return;
  if (!request_end_us_) request_.finish();
  if (response_ != nullptr) {
    response_->finish();
    shape_->finish(draft_);
  }
  CallRecord record = make_record();
  if (record.http_status.value_or(0) >= 400) {
    set_error(record, classify_error(draft_.error, record.http_status));
  }
  record.tokens_complete = false;
  record.incomplete_reason = reason;
  fill_draft(record, std::move(draft_));
  push(std::move(record));
}

void CallMeter::set_error(CallRecord& record, std::string_view kind) const {
  fill_error(record, draft_.error, kind, record.http_status);
}

void CallMeter::settle(CallRecord& record, EndKind kind) const {
  const int status = record.http_status.value_or(0);
  if (status >= 400) {
    std::string_view word = classify_error(draft_.error, status);
    if (word == "rate_limit" && plan_exhausted_) word = "quota";
    set_error(record, word);
    record.tokens_complete = true;  // nothing was billed
    return;
  }
  if (match_.route->use == RouteUse::counting) record.tokens_complete = true;
  if (response_ == nullptr) {  // not even a head
    if (kind == EndKind::client_abort) {
      record.status = CallStatus::cancelled;
    } else {
      set_error(record, "network");
    }
    if (!record.tokens_complete) {
      record.incomplete_reason = kind == EndKind::client_abort ? "client_abort" : "truncated";
    }
    return;
  }
  if (draft_.error.present) {
    // Beside an error only the usage of a terminal event is final.
    const std::optional<int> own = draft_.error.status;
    set_error(record, classify_error(draft_.error, own));
    record.error_class = locked_error_class(record.error_kind, draft_.error, own);
    if (!record.tokens_complete) {
      record.tokens_complete = draft_.final_usage;
      if (!draft_.final_usage) record.incomplete_reason = "stream_error";
    }
    return;
  }
  settle_success(record, kind);
}

// Status below 400 and no error told: is it whole, and are its counts?
void CallMeter::settle_success(CallRecord& record, EndKind kind) const {
  const bool counting = match_.route->use == RouteUse::counting;
  const bool whole = response_->is_stream()  ? draft_.terminal
                     : response_->readable() ? response_->whole_json()
                                             : kind == EndKind::complete;
  const auto incomplete = [&record, counting](std::string_view reason) {
    record.tokens_complete = counting;
    record.incomplete_reason = counting ? "" : reason;
  };
  if (whole) {
    record.status = CallStatus::success;
    if (counting || (draft_.usage_seen && !draft_.background)) {
      record.tokens_complete = true;
    } else if (draft_.background) {
      incomplete("background");
    } else if (match_.route->shape == WireShape::openai_chat && response_->is_event_stream() &&
               !request_.facts().include_usage) {
      incomplete("usage_not_requested");
    } else {
      incomplete("no_usage_in_response");
    }
    return;
  }
  if (response_->failure() != nullptr) {
    record.status = kind == EndKind::client_abort ? CallStatus::cancelled : CallStatus::success;
    incomplete(response_->failure());
    return;
  }
  if (kind == EndKind::client_abort) {
    record.status = CallStatus::cancelled;
    incomplete("client_abort");
    return;
  }
  if (kind == EndKind::complete && base_.bytes_down == 0 && !response_->is_stream()) {
    incomplete("no_usage_in_response");  // an answer without a body: 204, a redirect
    return;
  }
  set_error(record, "network");
  record.status = CallStatus::truncated;
  incomplete("truncated");
}

void CallMeter::push(CallRecord&& record) {
  if (!sink_.push(std::move(record))) counters::get("meter.record_refused").add();
}

}  // namespace hm::meter
