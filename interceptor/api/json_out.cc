#include "interceptor/api/json_out.h"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <cassert>
#include <cmath>

#include "common/base/utf8.h"

namespace hm::api {

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
  const std::string good = clean_text(name);
  parts_->writer.Key(good.data(), Parts::size(good));
  return *this;
}

JsonOut& JsonOut::text(std::string_view value) {
  const std::string good = clean_text(value);
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
