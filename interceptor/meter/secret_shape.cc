#include "interceptor/meter/secret_shape.h"

#include <algorithm>

namespace hm::meter {
namespace {

// The beginning, and how many characters of a key must follow, so that words are left alone.
struct Shape {
  std::string_view begin;
  size_t rest;
};

constexpr Shape kShapes[] = {
    {"sk-", 8},   {"sess-", 16}, {"AIza", 16}, {"ya29.", 8},        {"xai-", 16}, {"gsk_", 16},
    {"AKIA", 12}, {"ghp_", 16},  {"gho_", 16}, {"github_pat_", 16}, {"eyJ", 24},
};

bool of_a_key(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '*';
}

}  // namespace

bool looks_like_secret(std::string_view text) {
  for (const Shape& shape : kShapes) {
    for (size_t at = text.find(shape.begin); at != std::string_view::npos;
         at = text.find(shape.begin, at + 1)) {
      // In the middle of a word it is part of it: task-..., risk-...
      if (at > 0 && of_a_key(text[at - 1])) continue;
      const std::string_view rest = text.substr(at + shape.begin.size());
      const auto end = std::ranges::find_if_not(rest, of_a_key);
      if (static_cast<size_t>(end - rest.begin()) >= shape.rest) return true;
    }
  }
  return text.find("-----BEGIN ") != std::string_view::npos;
}

}  // namespace hm::meter
