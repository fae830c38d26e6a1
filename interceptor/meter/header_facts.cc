#include "interceptor/meter/header_facts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

#include "interceptor/meter/shape.h"

namespace hm::meter {
namespace {

constexpr size_t kMaxValue = 200;
constexpr size_t kMaxLimits = 64;
constexpr int64_t kSecond = 1'000'000;
constexpr double kMaxSeconds = 10.0 * 366 * 86400;  // longer waits are not believed

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_limit(std::string_view name) {
  if (name == "retry-after" || name == "retry-after-ms") return true;
  if (name.starts_with("anthropic-ratelimit-") || name.starts_with("anthropic-priority-")) {
    return true;
  }
  if (name.starts_with("x-ratelimit-")) {
    return contains(name.substr(12), "limit") || contains(name, "remaining") ||
           contains(name, "reset");
  }
  // Percentages, windows and reset times; not the opaque state, nor what names an account.
  return name.starts_with("x-codex-") &&
         (name.ends_with("-used-percent") || name.ends_with("-window-minutes") ||
          name.ends_with("-reset-at") || name.ends_with("-reset-after-seconds") ||
          name == "x-codex-active-limit" || name == "x-codex-rate-limit-reached-type" ||
          name == "x-codex-credits-has-credits" || name == "x-codex-credits-unlimited" ||
          name == "x-codex-credits-balance");
}

std::string printable(std::string_view value) {
  std::string out;
  for (const char c : value.substr(0, kMaxValue)) {
    if (static_cast<uint8_t>(c) >= 0x20 && static_cast<uint8_t>(c) < 0x7F) out.push_back(c);
  }
  return out;
}

std::optional<int> digits(std::string_view text, size_t at, size_t length) {
  if (at + length > text.size()) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(at, length)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<int64_t> civil(int year, int month, int day, int hour, int minute, int second) {
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(year),
                            std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const auto days = sys_days(date).time_since_epoch().count();
  return (int64_t{days} * 86400 + hour * 3600 + minute * 60 + second) * kSecond;
}

// 2026-11-23T22:22:31Z, with a fraction and an offset if need be (RFC 3339 5.6).
std::optional<int64_t> parse_rfc3339(std::string_view text) {
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2),
             hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  auto instant = civil(*year, *month, *day, *hour, *minute, *second);
  if (!instant) return std::nullopt;
  size_t at = 19;
  if (text[at] == '.') {
    int64_t unit = kSecond / 10;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10) {
      *instant += (text[at] - '0') * unit;
    }
  }
  if (at == text.size()) return std::nullopt;
  if (text[at] == 'Z' || text[at] == 'z') return instant;
  const auto hours = digits(text, at + 1, 2), minutes = digits(text, at + 4, 2);
  if ((text[at] != '+' && text[at] != '-') || !hours || !minutes) return std::nullopt;
  const int64_t offset = (int64_t{*hours} * 3600 + *minutes * 60) * kSecond;
  return text[at] == '+' ? *instant - offset : *instant + offset;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

// Go's time.Duration: numbers with h, m, s, ms, us, ns, one after the other.
std::optional<double> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  while (!text.empty()) {
    const size_t length = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto value = number(text.substr(0, length));
    if (!value) return std::nullopt;
    text.remove_prefix(length);
    constexpr std::array<std::pair<std::string_view, double>, 6> kUnits = {
        {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"h", 3600}, {"m", 60}, {"s", 1}}};
    const auto unit = std::ranges::find_if(
        kUnits, [&text](const auto& known) { return text.starts_with(known.first); });
    if (unit == kUnits.end()) return std::nullopt;
    seconds += *value * unit->second;
    text.remove_prefix(unit->first.size());
  }
  return seconds;
}

int64_t after(int64_t now_wall_us, double seconds) {
  return now_wall_us + static_cast<int64_t>(std::clamp(seconds, 0.0, kMaxSeconds) * 1e6);
}

}  // namespace

std::optional<int64_t> parse_http_date(std::string_view text) {
  if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const size_t month = kMonths.find(text.substr(8, 3));
  const auto day = digits(text, 5, 2), year = digits(text, 12, 4), hour = digits(text, 17, 2),
             minute = digits(text, 20, 2), second = digits(text, 23, 2);
  if (month == std::string_view::npos || month % 3 != 0 || !day || !year || !hour || !minute ||
      !second) {
    return std::nullopt;
  }
  return civil(*year, static_cast<int>(month / 3) + 1, *day, *hour, *minute, *second);
}

std::optional<int64_t> parse_instant(std::string_view value, int64_t now_wall_us) {
  if (const auto instant = parse_rfc3339(value)) return instant;
  if (const auto plain = number(value)) {
    if (*plain < 0) return std::nullopt;
    if (*plain >= 1e11) return std::nullopt;  // neither seconds since 1970 nor seconds to go
    if (*plain >= 1e9) return static_cast<int64_t>(*plain * 1e6);
    return after(now_wall_us, *plain);
  }
  if (const auto seconds = parse_duration(value)) return after(now_wall_us, *seconds);
  return std::nullopt;
}

std::vector<RateLimitHeader> rate_limits(const http::ResponseHead& head, int64_t now_wall_us) {
  std::vector<RateLimitHeader> out;
  for (const http::Header& header : head.headers) {
    if (out.size() == kMaxLimits) break;
    if (header.name.size() > 100 || !is_limit(header.name)) continue;
    RateLimitHeader limit{header.name, printable(header.value), std::nullopt};
    if (contains(limit.name, "reset") || limit.name == "retry-after") {
      limit.instant_us = parse_instant(limit.value, now_wall_us);
      if (!limit.instant_us) limit.instant_us = parse_http_date(limit.value);
    }
    out.push_back(std::move(limit));
  }
  return out;
}

std::optional<double> retry_after(const http::ResponseHead& head, int64_t now_wall_us) {
  if (const auto ms = number(head.header("retry-after-ms")); ms && *ms >= 0) {
    return std::min(*ms / 1000, kMaxSeconds);
  }
  const std::string_view value = head.header("retry-after");
  if (const auto seconds = number(value)) {
    return *seconds >= 0 ? std::optional(std::min(*seconds, kMaxSeconds)) : std::nullopt;
  }
  const auto date = parse_http_date(value);
  if (!date) return std::nullopt;
  return std::clamp(static_cast<double>(*date - now_wall_us) / 1e6, 0.0, kMaxSeconds);
}

// The scheme's case is the client's affair (RFC 9110 11.1), and so are blanks behind it.
std::string_view bearer_token(const http::RequestHead& head) {
  constexpr std::string_view kBearer = "bearer ";
  std::string_view value = head.header("authorization");
  if (value.size() <= kBearer.size()) return {};
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  if (!std::ranges::equal(value.substr(0, kBearer.size()), kBearer, {}, lower)) return {};
  value.remove_prefix(kBearer.size());
  return value.substr(std::min(value.find_first_not_of(' '), value.size()));
}

std::string_view api_key(const http::RequestHead& head) {
  for (const std::string_view name : {"x-api-key", "x-goog-api-key", "api-key"})
    if (const std::string_view key = head.header(name); !key.empty()) return key;
  if (const std::string_view token = bearer_token(head); !token.empty()) return token;
  // Google's old way: in the query.
  const std::string_view target = head.target;
  size_t at = target.find('?');
  while (at != std::string_view::npos) {
    std::string_view pair = target.substr(at + 1);
    pair = pair.substr(0, pair.find('&'));
    if (pair.starts_with("key=")) return pair.substr(4);
    at = target.find('&', at + 1);
  }
  return {};
}

std::optional<int64_t> client_retry(const http::RequestHead& head) {
  const std::string_view text = head.header("x-stainless-retry-count");
  const auto count = text.size() > 4 ? std::nullopt : digits(text, 0, text.size());
  return text.empty() || !count ? std::nullopt : std::optional<int64_t>(*count);
}

std::string provider_request_id(const http::ResponseHead& head) {
  for (const std::string_view name :
       {"request-id", "x-request-id", "x-oai-request-id", "apim-request-id", "x-amzn-requestid"}) {
    if (std::string id = clean_word(head.header(name), kMaxValue); !id.empty()) return id;
  }
  return {};
}

ClientName client_name(const http::RequestHead& head) {
  const std::string agent = printable(head.header("user-agent"));
  std::string_view rest = agent;
  const auto next_word = [&rest] {
    const size_t length = std::min(rest.find(' '), rest.size());
    const std::string_view word = rest.substr(0, length);
    rest.remove_prefix(std::min(length + 1, rest.size()));
    return word;
  };
  const auto is_version = [](std::string_view text) {
    return !text.empty() && text.front() >= '0' && text.front() <= '9';
  };
  ClientName client;
  const std::string_view first = next_word();
  const size_t slash = first.rfind('/');
  if (slash != std::string_view::npos && is_version(first.substr(slash + 1))) {
    client = {std::string(first.substr(0, slash)), std::string(first.substr(slash + 1))};
  } else if (!first.empty()) {
    client.name = first;
    // "GeminiCLI/0.56.0/model" has its version in the middle; "Anthropic/Python 0.40.0" behind.
    const size_t middle = first.find('/');
    const std::string_view tail =
        middle == std::string_view::npos ? std::string_view() : first.substr(middle + 1);
    if (is_version(tail)) {
      client.name = first.substr(0, middle);
      client.version = tail.substr(0, tail.find('/'));
    } else if (const std::string_view second = next_word(); is_version(second)) {
      client.version = second;
    }
  }
  if (client.name.empty()) client.name = clean_word(head.header("originator"), kMaxValue);
  if (client.name.size() > 100) client.name.resize(100);
  if (client.version.size() > 100) client.version.resize(100);
  return client;
}

std::string session_of(const http::RequestHead& head) {
  for (const std::string_view name : {"x-claude-code-session-id", "session-id", "thread-id"}) {
    if (std::string id = clean_word(head.header(name)); !id.empty()) return id;
  }
  return {};
}

}  // namespace hm::meter
