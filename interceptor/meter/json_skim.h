// A push scanner over JSON text (RFC 8259) that keeps nothing but its depth and place: values at
// the wanted key paths are cut out as text, everything else flows by. It tells values by their
// exact path, so text that looks like JSON inside strings never matches.
//
// A scanner, not a validator: brackets, strings and the punctuation along the watched paths are
// checked, the inside of numbers, literals and unwatched values is not.
//
// Sans-I/O, used on the loop of its owner. Kept: one cut-out of at most kMaxValue bytes, one key of
// at most kMaxKey bytes, kMaxDepth levels. A value above kMaxValue is passed over (on_skipped).
// Errors: malformed; too_large (depth). It stays in error until reset().
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace hm::meter {

struct SkimPath {
  // Keys joined by dots; `[]` after a key stands for each element of an array: `usage`,
  // `message.usage`, `choices[].finish_reason`. Keys with dots or brackets cannot be named.
  std::string_view path;
  // Only tell that a value is there (on_seen, when it begins), and look inside for other paths.
  bool seen_only = false;
};

class SkimEvents {
 public:
  // `path` is the index in the table. `json` is the value's text as sent, strings with their
  // quotes; it dies with the call. A key that occurs twice is told twice.
  virtual void on_value(size_t path, std::string_view json) = 0;
  virtual void on_seen(size_t path) = 0;
  virtual void on_skipped(size_t path) = 0;  // longer than kMaxValue
  virtual void on_document_end() = 0;        // one top-level value (or element) is whole

 protected:
  ~SkimEvents() = default;
};

enum class TopArray : uint8_t {
  document,  // an array at the top is one document like any other
  elements,  // its elements are documents, told as they become whole (Gemini's array stream)
};

class JsonSkim {
 public:
  static constexpr size_t kMaxValue = 64 * 1024;
  static constexpr size_t kMaxDepth = 256;
  static constexpr size_t kMaxKey = 256;

  // The texts of the paths are copied; the events must outlive the scanner. A path below another
  // cut-out path is never told.
  JsonSkim(std::span<const SkimPath> paths, SkimEvents& events,
           TopArray top_array = TopArray::document);
  JsonSkim(const JsonSkim&) = delete;
  JsonSkim& operator=(const JsonSkim&) = delete;

  // Several documents may follow each other, with or without blanks between them.
  [[nodiscard]] Result<void> feed(Bytes bytes);
  [[nodiscard]] Result<void> finish();  // malformed when inside a document
  void reset();                         // as new, errors forgotten; not from within an event

  [[nodiscard]] bool in_document() const { return state_ != State::top; }
  [[nodiscard]] bool in_error() const { return error_.has_value(); }
  // Top-level values that became whole since the last reset.
  [[nodiscard]] uint64_t whole_values() const { return whole_values_; }
  [[nodiscard]] bool saw_elements() const { return saw_elements_; }

 private:
  enum class State : uint8_t {
    top,           // between documents
    value,         // a value must follow
    value_or_end,  // after '['
    key_or_end,    // after '{'
    key_start,     // after ',' in an object
    key,
    colon,
    after_value,
    string,
    scalar,  // number or literal
    flow,    // inside a value that nobody watches, or that is being cut out
  };
  struct Node {
    std::string key;
    uint16_t first_child = 0;
    uint16_t next_sibling = 0;
    uint16_t element = 0;
    int16_t path = -1;
    bool seen_only = false;
  };
  struct Level {
    uint16_t node = 0;
    bool array = false;
  };
  using Cursor = const uint8_t*;

  void add_path(const SkimPath& path, int16_t index);
  uint16_t child(uint16_t parent, std::string_view key) const;
  uint16_t add_child(uint16_t parent, std::string_view key);
  uint16_t add_element(uint16_t parent);

  Cursor step(Cursor at, Cursor end);
  Cursor take_string(Cursor at, Cursor end);
  Cursor take_key(Cursor at, Cursor end);
  Cursor take_flow(Cursor at, Cursor end);
  Cursor punctuation(Cursor at);
  void begin_value(Cursor at);
  void end_value(Cursor after);
  void match_key();
  bool open(bool array, uint16_t node);
  bool close(uint8_t bracket);
  void keep(Cursor begin, Cursor end);
  void give_out(Cursor after);
  void set_error(Code code, const char* where);

  SkimEvents& events_;
  std::vector<Node> nodes_;  // 0 is "nobody watches", 1 the root of a document, 2 an element stream
  TopArray top_array_;
  State state_ = State::top;
  std::optional<Error> error_;
  std::array<Level, kMaxDepth> levels_;
  size_t depth_ = 0;
  size_t flow_base_ = 0;  // depth at which the flow ends
  uint16_t next_node_ = 1;
  bool in_flow_string_ = false;
  bool escape_ = false;  // the last byte was a backslash
  bool elements_ = false;
  bool saw_elements_ = false;
  uint8_t bom_ = 0;
  uint64_t whole_values_ = 0;

  std::string key_;
  bool key_escaped_ = false;
  bool key_too_long_ = false;

  int capture_path_ = -1;
  bool capture_skipped_ = false;
  Cursor capture_from_ = nullptr;  // inside the span being fed
  std::string capture_;
};

}  // namespace hm::meter
