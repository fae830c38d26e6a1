// What headers tell, by the allow-list of `providers.md` 11. Everything else is never looked at, so
// that secrets (12) cannot get into a record. Values are capped at 200 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "interceptor/call_record.h"
#include "interceptor/http/exchange.h"

namespace hm::meter {

struct ClientName {
  std::string name;
  std::string version;
};

// "claude-cli/2.1.330 (external, cli)" and "Anthropic/Python 0.40.0". Empty when there is none.
[[nodiscard]] ClientName client_name(const http::RequestHead& head);

// Session of the tool that calls, from the grouping headers; empty when there is none.
[[nodiscard]] std::string session_of(const http::RequestHead& head);

// The limits of the allow-list, at most 64.
[[nodiscard]] std::vector<RateLimitHeader> rate_limits(const http::ResponseHead& head,
                                                       int64_t now_wall_us);

// retry-after-ms, else retry-after in seconds or as a date (RFC 9110 10.2.3). Never negative.
[[nodiscard]] std::optional<double> retry_after(const http::ResponseHead& head,
                                                int64_t now_wall_us);

// What `Authorization: Bearer` carries; its begin only may be looked at. Empty: none.
[[nodiscard]] std::string_view bearer_token(const http::RequestHead& head);

// The key that pays for the call, for its print only: it must go nowhere else. Empty: none.
[[nodiscard]] std::string_view api_key(const http::RequestHead& head);

// Which repetition this is, as libraries of the Stainless family tell (1.2).
[[nodiscard]] std::optional<int64_t> client_retry(const http::RequestHead& head);

[[nodiscard]] std::string provider_request_id(const http::ResponseHead& head);

// A reset time in one of its four forms: RFC 3339, epoch seconds, seconds to go, Go-style durations
// ("1m2.5s", "340ms").
[[nodiscard]] std::optional<int64_t> parse_instant(std::string_view value, int64_t now_wall_us);

// "Wed, 21 Oct 2026 07:28:00 GMT" (RFC 9110 5.6.7), to wall microseconds.
[[nodiscard]] std::optional<int64_t> parse_http_date(std::string_view value);

}  // namespace hm::meter
