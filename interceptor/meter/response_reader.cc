#include "interceptor/meter/response_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/counters.h"

namespace hm::meter {
namespace {

constexpr size_t kStart = 32;
constexpr std::string_view kBlanks = " \t\r\n";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(kBlanks), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

}  // namespace

ResponseReader::ResponseReader(const http::ResponseHead& head, bool lines, Shape& shape,
                               Draft& draft, std::function<void()> on_record)
    : shape_(shape),
      draft_(draft),
      on_record_(std::move(on_record)),
      skim_(shape.fields(), *this, TopArray::elements),
      sse_(*this) {
  const http::DecoderLimits limits;
  auto decoder = http::Decoder::create(head.header("content-encoding"), limits, *this);
  if (decoder) {
    decoder_ = std::move(*decoder);
  } else {
    failure_ = "undecodable";
  }

  const std::string type = lower(head.header("content-type"));
  const auto has = [&type](std::string_view part) { return type.find(part) != std::string::npos; };
  if (lines || has("jsonl") || has("ndjson")) {
    framing_ = Framing::lines;
  } else if (has("event-stream")) {
    framing_ = Framing::events;
  } else if (has("json")) {
    framing_ = Framing::json;
  } else if (!type.empty() && !type.starts_with("text/plain")) {
    framing_ = Framing::other;
  }
}

void ResponseReader::feed(Bytes body) {
  if (failure_ != nullptr || finished_) return;
  if (const auto fed = decoder_->feed(body); !fed && failure_ == nullptr) {
    failure_ = fed.error().code == Code::too_large ? "too_large" : "undecodable";
  }
}

void ResponseReader::finish() {
  if (finished_) return;
  finished_ = true;
  if (decoder_ != nullptr && failure_ == nullptr) {
    if (const auto ended = decoder_->finish(); !ended && failure_ == nullptr) {
      failure_ = ended.error().code == Code::too_large ? "too_large" : "undecodable";
    }
    cut_ = decoder_->truncated();
  }
  if (framing_ == Framing::events) {
    std::ignore = sse_.finish();
  } else if (framing_ == Framing::lines) {
    end_line();
  } else if (framing_ == Framing::json && !skim_.in_error()) {
    if (!skim_.finish()) {
      cut_ = true;
      // Figures of a cut body are a lower bound; what was cut is told by whole_json().
      if (!skim_.saw_elements()) tell_document({});
    }
  }
}

bool ResponseReader::is_stream() const {
  return framing_ == Framing::events || (framing_ == Framing::json && skim_.saw_elements());
}

bool ResponseReader::whole_json() const {
  const bool json = framing_ == Framing::json || framing_ == Framing::lines;
  return json && !cut_ && failure_ == nullptr && documents_ > 0;
}

// The type was not told: the first bytes that are no blanks tell. False: too few of them so far.
bool ResponseReader::sniff(Bytes bytes) {
  start_.append(as_text(bytes));
  start_.erase(0, std::min(start_.find_first_not_of(kBlanks), start_.size()));
  if (start_.empty()) return false;
  framing_ = Framing::other;
  if (start_.front() == '{' || start_.front() == '[') framing_ = Framing::json;
  for (const std::string_view field : {"data:", "event:"}) {
    if (start_.starts_with(field)) framing_ = Framing::events;
    if (start_.size() < field.size() && field.starts_with(start_)) framing_ = Framing::unknown;
  }
  return framing_ != Framing::unknown;
}

void ResponseReader::on_decoded(Bytes bytes) {
  if (framing_ == Framing::unknown) {
    if (!sniff(bytes)) return;
    const std::string begin = std::exchange(start_, {});
    return on_decoded(as_bytes(begin));
  }
  switch (framing_) {
    case Framing::events:
      std::ignore = sse_.feed(bytes);
      break;
    case Framing::json:
      if (skim_.in_error()) break;
      if (const auto fed = skim_.feed(bytes); !fed) {
        failure_ = fed.error().code == Code::too_large ? "too_large" : "unparsable";
        counters::get("meter.json_unparsable").add();
      }
      break;
    case Framing::lines:
      while (!bytes.empty()) {
        const auto* newline =
            static_cast<const uint8_t*>(std::memchr(bytes.data(), '\n', bytes.size()));
        const size_t length =
            newline == nullptr ? bytes.size() : static_cast<size_t>(newline - bytes.data());
        if (!skim_.in_error()) std::ignore = skim_.feed(bytes.first(length));
        if (newline == nullptr) break;
        end_line();
        bytes = bytes.subspan(length + 1);
      }
      break;
    case Framing::unknown:
    case Framing::other:
      break;
  }
}

void ResponseReader::end_line() {
  if (!skim_.finish()) drop_document();
  skim_.reset();
}

void ResponseReader::on_data(Bytes piece) {
  if (small_) {
    const size_t room = kStart - start_.size();
    if (piece.size() <= room) {
      start_.append(as_text(piece));
      return;
    }
    small_ = false;
    std::ignore = skim_.feed(as_bytes(start_));
  }
  if (!skim_.in_error()) std::ignore = skim_.feed(piece);
}

void ResponseReader::on_event_end(std::string_view name, std::string_view) {
  if (small_ && trimmed(start_) == "[DONE]") {
    shape_.on_done_mark(draft_);
  } else if (!small_ || !trimmed(start_).empty()) {
    if (small_) std::ignore = skim_.feed(as_bytes(start_));
    // Elements were told one by one; anything else is exactly one value.
    if (!skim_.finish() || skim_.whole_values() != 1) {
      drop_document();
    } else if (!skim_.saw_elements()) {
      tell_document(name);
    }
  }
  skim_.reset();
  start_.clear();
  small_ = true;
}

void ResponseReader::on_value(size_t path, std::string_view json) {
  shape_.on_value(path, json);
}
void ResponseReader::on_seen(size_t path) {
  shape_.on_seen(path);
}

void ResponseReader::on_skipped(size_t) {
  counters::get("meter.json_value_skipped").add();
}

void ResponseReader::on_document_end() {
  // An event's name may come behind its data, and what follows the JSON may spoil it.
  if (framing_ == Framing::events && !skim_.saw_elements()) return;
  tell_document({});
}

void ResponseReader::tell_document(std::string_view event_name) {
  ++documents_;
  shape_.on_document(event_name, draft_);
  shape_.clear_document();
  if (draft_.record_ready) on_record_();
}

void ResponseReader::drop_document() {
  counters::get("meter.json_unparsable").add();
  shape_.clear_document();
}

}  // namespace hm::meter
