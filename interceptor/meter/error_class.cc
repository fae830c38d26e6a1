#include "interceptor/meter/error_class.h"

#include <algorithm>
#include <initializer_list>
#include <span>

#include "interceptor/meter/secret_shape.h"

namespace hm::meter {
namespace {

constexpr size_t kMaxWords = 16;
constexpr size_t kMaxWord = 100;
constexpr size_t kMaxMessage = 512;

std::string lower(std::string_view text, size_t limit) {
  std::string out(text.substr(0, limit));
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Only such a word is stored: prose may echo a key (xAI's `code` is prose).
bool plain_word(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  }) && !looks_like_secret(text);
}

bool plausible(std::optional<double> seconds) {
  return seconds && *seconds >= 0 && *seconds < 1e9;
}

using Words = std::span<const std::string_view>;
using Phrases = std::initializer_list<std::string_view>;

constexpr std::string_view kQuota[] = {"insufficient_quota",
                                       "credit_balance_exhausted",
                                       "billing_hard_limit_reached",
                                       "billing_not_active",
                                       "billing_error",
                                       "organization_spend_limit_exceeded",
                                       "project_spend_limit_exceeded",
                                       "organization_usage_limit_exceeded",
                                       "enforced_spend_limit_reached",
                                       "usage_limit_reached",
                                       "usage_not_included",
                                       "quota_exhausted",
                                       "insufficient_g1_credits_balance"};
constexpr std::string_view kOverloaded[] = {
    "overloaded_error",        "server_is_overloaded", "slow_down",   "model_capacity_exhausted",
    "model_capacity_exceeded", "resource_unavailable", "unavailable", "service_unavailable_error"};
constexpr std::string_view kAuth[] = {"authentication_error",
                                      "permission_error",
                                      "invalid_api_key",
                                      "api_key_invalid",
                                      "unauthenticated",
                                      "permission_denied",
                                      "unsupported_country_region_territory"};
constexpr std::string_view kRateLimit[] = {"rate_limit_error", "rate_limit_exceeded",
                                           "resource_exhausted"};
constexpr std::string_view kServer[] = {"api_error", "server_error",  "internal_error",
                                        "internal",  "timeout_error", "deadline_exceeded"};
constexpr std::string_view kDeadline[] = {"timeout_error", "deadline_exceeded"};
constexpr std::string_view kInvalid[] = {"invalid_request_error",
                                         "not_found_error",
                                         "request_too_large",
                                         "conflict_error",
                                         "invalid_prompt",
                                         "context_length_exceeded",
                                         "invalid_argument",
                                         "failed_precondition",
                                         "not_found",
                                         "bio_policy",
                                         "cyber_policy"};

bool any_of(const ErrorWords& error, Words set) {
  return std::ranges::any_of(error.words, [&set](const std::string& word) {
    return std::ranges::find(set, std::string_view(word)) != set.end();
  });
}

bool says(const ErrorWords& error, Phrases phrases) {
  return std::ranges::all_of(phrases, [&error](std::string_view phrase) {
    return error.message.find(phrase) != std::string::npos;
  });
}

bool message_speaks_of_money(const ErrorWords& error, int status) {
  if (error.google) return false;
  return says(error, {"credit balance", "too low"}) || says(error, {"credit balance is too low"}) ||
         says(error, {"exceeded your current quota", "billing"}) ||
         says(error, {"all available credits"}) || says(error, {"spending limit"}) ||
         says(error, {"spend limit"}) || says(error, {"api usage limits"}) ||
         (status == 403 && (says(error, {"credits"}) || says(error, {"spending"})));
}

bool daily_quota(const ErrorWords& error) {
  return std::ranges::any_of(error.words, [](const std::string& word) {
    return word.find("perday") != std::string::npos || word.find("daily") != std::string::npos;
  });
}

}  // namespace

void ErrorWords::add_word(std::string_view word) {
  if (word.empty() || words.size() == kMaxWords) return;
  present = true;
  words.push_back(lower(word, kMaxWord));
  if (code.empty() && word != "error" && plain_word(word)) code = word;
}

void ErrorWords::add_message(std::string_view text) {
  present = true;
  message += lower(text, kMaxMessage - std::min(kMaxMessage, message.size()));
}

void ErrorWords::add_error(JsonView error) {
  if (const auto text = error.text()) {
    add_message(*text);
    return;
  }
  if (!error.is_object()) return;
  present = true;
  std::string candidate;
  const auto take = [this, &candidate](JsonView view, bool store) {
    const auto text = view.text();
    if (!text) return;
    add_word(*text);
    if (store && candidate.empty() && plain_word(*text)) candidate = *text;
  };
  take(error.get("code"), true);
  take(error.get("details").get("error_code"), true);
  const JsonView details = error.get("details");
  for (size_t i = 0; i < std::min<size_t>(details.size(), 8); ++i) {
    const JsonView detail = details.at(i);
    take(detail.get("reason"), true);
    const JsonView violations = detail.get("violations");
    for (size_t k = 0; k < std::min<size_t>(violations.size(), 4); ++k) {
      take(violations.at(k).get("quotaId"), false);
    }
    if (const auto delay = detail.get("retryDelay").text(); delay && delay->ends_with('s')) {
      // google.protobuf.Duration in JSON: decimal seconds with an `s`.
      const std::string quoted = '"' + delay->substr(0, delay->size() - 1) + '"';
      if (const auto seconds = JsonDocument(quoted).root().number(); plausible(seconds)) {
        retry_after_s = seconds;
      }
    }
  }
  take(error.get("type"), true);
  take(error.get("status"), true);
  google = google || error.get("status").text().has_value();
  if (const auto number = error.get("code").figure();
      number && *number >= 400 && *number < 600 && !error.get("code").text()) {
    status = static_cast<int>(*number);
    if (candidate.empty()) candidate = std::to_string(*number);  // OpenRouter's only word
  }
  if (const auto wait = error.get("resets_in_seconds").number(); plausible(wait)) {
    retry_after_s = wait;
  }
  if (const auto text = error.get("message").text()) add_message(*text);
  if (!candidate.empty()) code = std::move(candidate);
}

std::string_view classify_error(const ErrorWords& error, std::optional<int> http_status) {
  const int status = http_status ? *http_status : error.status.value_or(0);
  if (any_of(error, kQuota) || daily_quota(error) || status == 402 ||
      message_speaks_of_money(error, status)) {
    return "quota";
  }
  // 529 is Anthropic's own, 498 Groq's: no room for a flex call (10).
  if (any_of(error, kOverloaded) || status == 503 || status == 529 || status == 498) {
    return "overloaded";
  }
  if (any_of(error, kAuth) || status == 401 ||
      (status == 400 && says(error, {"incorrect api key"}))) {
    return "auth";
  }
  if (any_of(error, kRateLimit) || status == 429) return "rate_limit";
  if (status == 403) return "auth";
  if (status == 408) return "network";
  if (status >= 500 || any_of(error, kServer)) return "server";
  if (status >= 400 || any_of(error, kInvalid)) return "invalid_request";
  return "server";
}

std::string_view locked_error_class(std::string_view kind, const ErrorWords& error,
                                    std::optional<int> http_status) {
  const int status = http_status ? *http_status : error.status.value_or(0);
  if (kind == "rate_limit") return "rate_limit";
  if (kind == "overloaded") return "server_error";
  if (kind == "server") {
    const bool deadline = status == 504 || any_of(error, kDeadline);
    return deadline ? "timeout" : "server_error";
  }
  if (kind == "quota" || kind == "auth") return "auth";
  if (kind == "invalid_request") return "bad_request";
  if (kind == "network") return status == 408 ? "timeout" : "network";
  return "unknown";
}

}  // namespace hm::meter
