#include "interceptor/api/json_out.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cassert>
#include <cmath>

namespace hm::api {
namespace {

// Length of the UTF-8 sequence that `text` begins with (RFC 3629), 0 when it is none.
size_t sequence_length(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t length = first < 0xC2   ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  if (first == 0xE0 && at(1) < 0xA0) return 0;
  if (first == 0xED && at(1) > 0x9F) return 0;
  if (first == 0xF0 && at(1) < 0x90) return 0;
  if (first == 0xF4 && at(1) > 0x8F) return 0;
  return length;
}

std::string mended(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    result += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

}  // namespace

struct JsonOut::Parts {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer{buffer};

  [[nodiscard]] static rapidjson::SizeType size(const std::string& text) {
    return static_cast<rapidjson::SizeType>(text.size());
  }
};

JsonOut::JsonOut() : parts_(std::make_unique<Parts>()) {}
JsonOut::~JsonOut() = default;

JsonOut& JsonOut::begin_object() {
  parts_->writer.StartObject();
  return *this;
}

JsonOut& JsonOut::end_object() {
  parts_->writer.EndObject();
  return *this;
}

JsonOut& JsonOut::begin_array() {
  parts_->writer.StartArray();
  return *this;
}

JsonOut& JsonOut::end_array() {
  parts_->writer.EndArray();
  return *this;
}

JsonOut& JsonOut::key(std::string_view name) {
  const std::string good = mended(name);
  parts_->writer.Key(good.data(), Parts::size(good));
  return *this;
}

JsonOut& JsonOut::text(std::string_view value) {
  const std::string good = mended(value);
  parts_->writer.String(good.data(), Parts::size(good));
  return *this;
}

JsonOut& JsonOut::integer(int64_t value) {
  parts_->writer.Int64(value);
  return *this;
}

JsonOut& JsonOut::number(double value) {
  if (!std::isfinite(value)) return null();
  parts_->writer.Double(value);
  return *this;
}

JsonOut& JsonOut::boolean(bool value) {
  parts_->writer.Bool(value);
  return *this;
}

JsonOut& JsonOut::null() {
  parts_->writer.Null();
  return *this;
}

JsonOut& JsonOut::integer_or_null(std::optional<int64_t> value) {
  return value ? integer(*value) : null();
}

std::string JsonOut::take() {
  assert(parts_->writer.IsComplete());
  return {parts_->buffer.GetString(), parts_->buffer.GetSize()};
}

}  // namespace hm::api
