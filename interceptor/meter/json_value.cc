#include "interceptor/meter/json_value.h"

#include <rapidjson/document.h>

#include <charconv>
#include <cmath>

namespace hm::meter {
namespace {

constexpr int64_t kMaxFigure = 1'000'000'000'000'000;

const rapidjson::Value* as_value(const void* value) {
  return static_cast<const rapidjson::Value*>(value);
}

std::optional<double> number_in(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

struct JsonDocument::Parts {
  rapidjson::Document document;
};

JsonDocument::JsonDocument(std::string_view json) : parts_(std::make_unique<Parts>()) {
  // Iterative: the depth of a peer's document must not become depth of our stack.
  parts_->document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
}

JsonDocument::~JsonDocument() = default;

JsonView JsonDocument::root() const {
  return parts_->document.HasParseError() ? JsonView() : JsonView(&parts_->document);
}

bool JsonView::exists() const {
  return value_ != nullptr && !as_value(value_)->IsNull();
}
bool JsonView::is_object() const {
  return value_ != nullptr && as_value(value_)->IsObject();
}
bool JsonView::is_array() const {
  return value_ != nullptr && as_value(value_)->IsArray();
}

bool JsonView::tells_figures() const {
  if (!is_object()) return false;
  for (const auto& member : as_value(value_)->GetObject()) {
    if (JsonView(&member.value).figure()) return true;
  }
  return false;
}

JsonView JsonView::get(std::string_view key) const {
  if (!is_object()) return {};
  const rapidjson::Value name(
      rapidjson::StringRef(key.data(), static_cast<rapidjson::SizeType>(key.size())));
  const auto found = as_value(value_)->FindMember(name);
  return found == as_value(value_)->MemberEnd() ? JsonView() : JsonView(&found->value);
}

JsonView JsonView::at(size_t index) const {
  if (index >= size()) return {};
  return JsonView(&(*as_value(value_))[static_cast<rapidjson::SizeType>(index)]);
}

std::vector<std::pair<std::string, JsonView>> JsonView::members() const {
  std::vector<std::pair<std::string, JsonView>> list;
  if (!is_object()) return list;
  for (const auto& member : as_value(value_)->GetObject())
    list.emplace_back(std::string(member.name.GetString(), member.name.GetStringLength()),
                      JsonView(&member.value));
  return list;
}

size_t JsonView::size() const {
  return is_array() ? as_value(value_)->Size() : 0;
}

std::optional<double> JsonView::number() const {
  if (value_ == nullptr) return std::nullopt;
  const rapidjson::Value& value = *as_value(value_);
  if (value.IsNumber()) return value.GetDouble();
  if (value.IsString()) return number_in({value.GetString(), value.GetStringLength()});
  return std::nullopt;
}

std::optional<int64_t> JsonView::figure() const {
  const auto value = number();  // exact up to 2^53, which is more than kMaxFigure
  if (!value || std::isnan(*value) || *value > static_cast<double>(kMaxFigure)) return std::nullopt;
  return *value <= 0 ? 0 : static_cast<int64_t>(*value);
}

std::optional<std::string> JsonView::text() const {
  if (value_ == nullptr || !as_value(value_)->IsString()) return std::nullopt;
  return std::string(as_value(value_)->GetString(), as_value(value_)->GetStringLength());
}

std::optional<bool> JsonView::truth() const {
  if (value_ == nullptr || !as_value(value_)->IsBool()) return std::nullopt;
  return as_value(value_)->GetBool();
}

}  // namespace hm::meter
