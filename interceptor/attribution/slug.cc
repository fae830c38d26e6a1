#include "interceptor/attribution/slug.h"

#include <algorithm>

namespace hm::attribution {
namespace {

constexpr size_t kMaxSlug = 100;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

}  // namespace

std::optional<std::string> parse_slug(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  if (text.empty() || text.size() > kMaxSlug) return std::nullopt;
  std::string slug(text);
  std::transform(slug.begin(), slug.end(), slug.begin(), lower);
  const auto allowed = [](char c) {
    return is_word(c) || c == '-' || c == '_' || c == ':' || c == '/';
  };
  if (!std::all_of(slug.begin(), slug.end(), allowed)) return std::nullopt;
  if (std::none_of(slug.begin(), slug.end(), is_word)) return std::nullopt;
  return slug;
}

std::optional<std::string> slug_from_name(std::string_view name) {
  std::string slug;
  for (const char raw : name) {
    const char c = lower(raw);
    if (is_word(c) || c == '_')
      slug.push_back(c);
    else if (!slug.empty() && slug.back() != '-')
      slug.push_back('-');
    if (slug.size() == kMaxSlug) break;
  }
  while (slug.ends_with('-')) slug.pop_back();
  if (std::none_of(slug.begin(), slug.end(), is_word)) return std::nullopt;
  return slug;
}

}  // namespace hm::attribution
