#pragma once

#include <string>

#include "interceptor/call_record.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::pricing {

// A finished, successful call without usage, at noon of the day.
inline CallRecord call(const std::string& provider, const std::string& model,
                       const std::string& day) {
  CallRecord record;
  record.provider = provider;
  record.rate_namespace = provider;
  record.model = model;
  record.tokens_complete = true;
  record.http_status = 200;
  record.requested_at_us = (int64_t{*parse_day(day)} * 86'400 + 43'200) * 1'000'000;
  return record;
}

inline CallRecord small_call(const std::string& provider, const std::string& model,
                             const std::string& day = "2026-11-15") {
  CallRecord record = call(provider, model, day);
  record.usage.input_tokens = 1000;
  record.usage.output_tokens = 100;
  return record;
}

}  // namespace hm::pricing
