#include "interceptor/meter/multipart.h"

#include <algorithm>

namespace hm::meter {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

// The value of `name=` in a header, with or without quotes.
std::string parameter(std::string_view header, std::string_view name) {
  const std::string folded = lower(header);
  for (size_t at = 0; (at = folded.find(name, at)) != std::string::npos; at += name.size()) {
    // "filename=" is not "name=".
    const char before = at == 0 ? ' ' : folded[at - 1];
    const size_t equals = at + name.size();
    if ((before != ' ' && before != ';' && before != '\t') || equals >= header.size() ||
        header[equals] != '=') {
      continue;
    }
    std::string_view value = header.substr(equals + 1);
    if (value.starts_with('"')) {
      value.remove_prefix(1);
      return std::string(value.substr(0, value.find('"')));
    }
    return std::string(value.substr(0, value.find_first_of("; \t\r")));
  }
  return {};
}

}  // namespace

Multipart::Multipart(std::string_view content_type)
    : delimiter_("\r\n--" + parameter(content_type, "boundary")) {
  // RFC 2046 5.1.1: 1 to 70 characters.
  if (delimiter_.size() == 4 || delimiter_.size() > 74) state_ = State::done;
}

void Multipart::feed(Bytes bytes) {
  if (state_ == State::done) return;
  pending_.append(as_text(bytes));
  while (state_ != State::done && step()) {
  }
  if (state_ == State::done) pending_.clear();
}

// False: more input is needed.
bool Multipart::step() {
  switch (state_) {
    case State::body: {
      const size_t at = pending_.find(delimiter_);
      const size_t safe = at != std::string::npos
                              ? at
                              : pending_.size() - std::min(pending_.size(), delimiter_.size() - 1);
      keep_value(std::string_view(pending_).substr(0, safe));
      pending_.erase(0, safe);
      if (at == std::string::npos) return false;
      end_part();
      pending_.erase(0, delimiter_.size());
      state_ = State::after_delimiter;
      return true;
    }
    case State::after_delimiter:
      if (pending_.size() < 2) return false;
      // The closing delimiter has two more hyphens; else the line ends, perhaps after blanks.
      state_ = pending_.starts_with("--") ? State::done : State::header;
      return true;
    case State::header: {
      const size_t end = pending_.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (pending_.size() > kMaxHeader) state_ = State::done;
        return false;
      }
      const std::string_view head = std::string_view(pending_).substr(0, end);
      const bool file = lower(head).find("filename") != std::string::npos;
      const std::string name = file ? std::string() : parameter(head, "name");
      field_ = static_cast<size_t>(std::ranges::find(kFields, name) - kFields.begin());
      // The blank line's CRLF may begin the next delimiter of an empty part: it stays.
      pending_.erase(0, end + 2);
      value_.clear();
      value_too_long_ = false;
      state_ = State::body;
      return true;
    }
    case State::done:
      break;
  }
  return false;
}

void Multipart::keep_value(std::string_view piece) {
  if (field_ == kFields.size()) return;
  if (value_.size() + piece.size() > kMaxValue + 2) {
    value_too_long_ = true;
    return;
  }
  value_ += piece;
}

void Multipart::end_part() {
  if (field_ < kFields.size() && !value_too_long_) {
    values_[field_] =
        value_.substr(std::min<size_t>(2, value_.size()));  // behind the header's CRLF
  }
  field_ = kFields.size();
}

}  // namespace hm::meter
