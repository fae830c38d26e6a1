#include "interceptor/pricing/id_pattern.h"

#include <mutex>
#include <regex>

namespace hm::pricing {
namespace {

// The literal text right behind the ^, as far as it is certain: a character that a quantifier may
// still take back does not belong to it, and an alternation makes nothing certain. A scanner: one
// rule per character.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
std::string leading_literal(const std::string& pattern) {
  std::string literal;
  int depth = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
      continue;
    }
    if (pattern[i] == '(') ++depth;
    if (pattern[i] == ')') --depth;
    if (pattern[i] == '|' && depth == 0) return literal;
  }
  for (size_t i = 1; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (std::string_view("?*{").find(c) != std::string_view::npos) {
      if (!literal.empty()) literal.pop_back();
      break;
    }
    if (std::string_view("+()[].$^|").find(c) != std::string_view::npos) break;
    if (c == '\\') {
      if (i + 1 >= pattern.size()) break;
      c = pattern[++i];
      const bool is_class =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (is_class) break;
    }
    literal.push_back(c);
  }
  return literal;
}

}  // namespace

// Of any thread: cards are shared.
struct IdPattern::Compiled {
  std::string text;
  std::once_flag once;
  std::regex regex;
  bool sound = false;

  bool ready() {
    std::call_once(once, [this] {
      try {
        regex.assign(text, std::regex::ECMAScript | std::regex::nosubs);
        sound = true;
      } catch (const std::regex_error&) {
        sound = false;
      }
    });
    return sound;
  }
};

IdPattern::IdPattern(const std::string& text)
    : literal_(leading_literal(text)), compiled_(std::make_unique<Compiled>()) {
  compiled_->text = text;
}

IdPattern::~IdPattern() = default;

std::shared_ptr<const IdPattern> IdPattern::make_later(const std::string& text) {
  if (text.size() < 3 || text.size() > kMaxPattern) return nullptr;
  if (text.front() != '^' || text.back() != '$' || text[text.size() - 2] == '\\') return nullptr;
  return std::shared_ptr<const IdPattern>(new IdPattern(text));
}

std::shared_ptr<const IdPattern> IdPattern::make(const std::string& text) {
  auto made = make_later(text);
  return made != nullptr && made->compiled_->ready() ? made : nullptr;
}

bool IdPattern::matches(std::string_view id) const {
  if (id.size() > kMaxId || !id.starts_with(literal_) || !compiled_->ready()) return false;
  try {
    return std::regex_match(id.begin(), id.end(), compiled_->regex);
  } catch (const std::regex_error&) {
    return false;  // the engine's own limits
  }
}

}  // namespace hm::pricing
