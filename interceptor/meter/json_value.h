// One small piece of JSON, parsed whole, with the number rules of `providers.md` 1.2: absent, null
// and a wrong type all mean "not told". Meant for cut-outs of json_skim (64 KiB at most, depth
// bounded).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hm::meter {

// A view into a JsonDocument, which must outlive it. A default one is "not there", and so is
// whatever is looked up in it.
class JsonView {
 public:
  JsonView() = default;

  [[nodiscard]] bool exists() const;  // there and not null
  [[nodiscard]] bool is_object() const;
  [[nodiscard]] bool is_array() const;

  // An object of which at least one member is a figure: usage that tells something. `{}` and
  // {"prompt_tokens": "many"} tell nothing.
  [[nodiscard]] bool tells_figures() const;

  [[nodiscard]] JsonView get(std::string_view key) const;  // of an object
  [[nodiscard]] JsonView at(size_t index) const;           // of an array
  [[nodiscard]] size_t size() const;                       // of an array, else 0
  // Of an object: each key with its value, in the order of the text.
  [[nodiscard]] std::vector<std::pair<std::string, JsonView>> members() const;

  // A decimal string is a number, a fraction is cut, a negative figure is 0, a boolean is no
  // number. Above 10^15 it is no figure of ours.
  [[nodiscard]] std::optional<int64_t> figure() const;
  [[nodiscard]] int64_t figure_or_zero() const { return figure().value_or(0); }
  [[nodiscard]] std::optional<double> number() const;  // seconds and the like; may be negative
  [[nodiscard]] std::optional<std::string> text() const;
  [[nodiscard]] std::optional<bool> truth() const;

 private:
  friend class JsonDocument;
  explicit JsonView(const void* value) : value_(value) {}
  const void* value_ = nullptr;
};

class JsonDocument {
 public:
  // Text that does not parse gives a document whose root is "not there".
  explicit JsonDocument(std::string_view json);
  ~JsonDocument();
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

  [[nodiscard]] JsonView root() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::meter
