#include "cli/redact.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace hm::cli {
namespace {

constexpr std::string_view kGone = "[redacted]";

// What a secret is made of: base64 in both alphabets, hexadecimal, dotted tokens.
bool is_token_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
         c == '+' || c == '/' || c == '=' || c == '~' || c == '%';
}

bool is_word_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// The names that secrets go by, in configuration, headers, queries and environment.
bool names_a_secret(std::string_view word) {
  constexpr std::array<std::string_view, 12> kNames = {
      "password", "passwd", "secret",        "token",  "api_key", "api-key",
      "apikey",   "x-key",  "authorization", "cookie", "bearer",  "credential"};
  const std::string name = lower(word);
  if (name == "key" || name.ends_with("_key") || name.ends_with("-key")) return true;
  return std::ranges::any_of(kNames, [&](std::string_view one) {
    return name.find(one) != std::string::npos && !name.ends_with("_tokens") &&
           !name.ends_with("tokens");
  });
}

// Beginnings by which issuers mark their keys.
bool looks_like_a_key(std::string_view token) {
  constexpr std::array<std::string_view, 12> kMarks = {"sk-",  "sk_",   "xai-", "AIza",
                                                       "gsk_", "ghp_",  "gho_", "github_",
                                                       "AKIA", "ya29.", "eyJ",  "xox"};
  if (token.size() >= 12 &&
      std::ranges::any_of(kMarks, [&](std::string_view mark) { return token.starts_with(mark); }))
    return true;
  // Long and mixed: no word, no path, no 32-digit call id.
  if (token.size() < 33 || token.find('/') != std::string_view::npos) return false;
  const bool digits = std::ranges::any_of(token, [](unsigned char c) { return std::isdigit(c); });
  const bool letters = std::ranges::any_of(token, [](unsigned char c) { return std::isalpha(c); });
  const auto dashes = std::ranges::count(token, '-');
  const bool uuid = token.size() == 36 && dashes == 4;
  return digits && letters && !uuid;
}

class Redactor {
 public:
  Redactor(std::string_view text, const RedactWords& words) : text_(text), words_(words) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (private_key() || user_info() || secret_value() || token() || home()) continue;
      out_ += text_[at_++];
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
  [[nodiscard]] bool at_word_start() const { return at_ == 0 || !is_word_char(text_[at_ - 1]); }
  void skip_to(size_t end) {
    out_ += kGone;
    at_ = end;
  }

  bool private_key() {
    if (!rest().starts_with("-----BEGIN ")) return false;
    const size_t line = rest().find('\n');
    if (rest().substr(0, line).find("PRIVATE KEY") == std::string_view::npos) return false;
    const size_t end = rest().find("-----END ");
    const size_t stop = end == std::string_view::npos ? text_.size() : text_.find('\n', at_ + end);
    skip_to(std::min(stop, text_.size()));
    return true;
  }

  // scheme://user:password@ ; the @ is the last one before the host ends.
  bool user_info() {
    if (!rest().starts_with("://")) return false;
    const size_t end = std::min(rest().find_first_of("/?# \t\r\n\"'<>", 3), rest().size());
    const size_t sign = rest().substr(0, end).rfind('@');
    if (sign == std::string_view::npos) return false;
    out_ += "://";
    skip_to(at_ + sign);
    return true;
  }

  bool home() {
    if (!words_.home.empty() && words_.home != "/" && rest().starts_with(words_.home)) {
      out_ += '~';
      at_ += words_.home.size();
      return true;
    }
    if (words_.user.size() < 3 || !at_word_start() || !rest().starts_with(words_.user))
      return false;
    const size_t end = at_ + words_.user.size();
    if (end < text_.size() && is_word_char(text_[end])) return false;
    out_ += "USER";
    at_ = end;
    return true;
  }

  // name=value, name: value, "name": "value", name = "value". Values of other names stay.
  bool secret_value() {
    if (!at_word_start() || !is_word_char(text_[at_])) return false;
    size_t end = at_;
    while (end < text_.size() && is_word_char(text_[end])) ++end;
    if (!names_a_secret(text_.substr(at_, end - at_))) return false;
    size_t value = end;
    while (value < text_.size() && (text_[value] == '"' || text_[value] == '\'')) ++value;
    while (value < text_.size() && text_[value] == ' ') ++value;
    const bool bearer = lower(text_.substr(at_, end - at_)) == "bearer" && value > end;
    if (!bearer) {
      if (value == text_.size() || (text_[value] != '=' && text_[value] != ':')) return false;
      ++value;
      while (value < text_.size() && text_[value] == ' ') ++value;
    }
    size_t stop = value;
    if (stop < text_.size() && (text_[stop] == '"' || text_[stop] == '\'')) {
      const char quote = text_[value++];
      stop = value;
      while (stop < text_.size() && text_[stop] != quote && text_[stop] != '\n')
        stop += text_[stop] == '\\' && stop + 1 < text_.size() ? 2 : 1;
    } else {  // headers have spaces in their values
      const bool header = text_[value - 1] == ' ';
      while (stop < text_.size() && text_[stop] != '\n' && text_[stop] != '&' &&
             text_[stop] != '"' && text_[stop] != ',' && (header || text_[stop] != ' '))
        ++stop;
    }
    stop = std::min(stop, text_.size());
    if (stop == value) return false;
    out_ += text_.substr(at_, value - at_);
    skip_to(stop);
    return true;
  }

  bool token() {
    if (at_ > 0 && is_token_char(text_[at_ - 1]) && text_[at_ - 1] != '=' && text_[at_ - 1] != '/')
      return false;
    size_t end = at_;
    while (end < text_.size() && is_token_char(text_[end])) ++end;
    if (end == at_) return false;
    // A mail address: what stands before the sign, and the sign with what follows.
    if (end < text_.size() && text_[end] == '@' && end + 1 < text_.size() &&
        is_word_char(text_[end + 1])) {
      size_t stop = end + 1;
      while (stop < text_.size() && (is_word_char(text_[stop]) || text_[stop] == '.')) ++stop;
      if (text_.substr(end, stop - end).find('.') != std::string_view::npos) {
        skip_to(stop);
        return true;
      }
    }
    if (!looks_like_a_key(text_.substr(at_, end - at_))) return false;
    skip_to(end);
    return true;
  }

  const std::string_view text_;
  const RedactWords& words_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string redact(std::string_view text, const RedactWords& words) {
  return Redactor(text, words).run();
}

}  // namespace hm::cli
