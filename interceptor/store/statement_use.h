// Parameters into a prepared statement of SQLite. Throws SQLite::Exception. Inside this folder
// only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/utf8.h"

namespace hm::store {

// One use of a prepared statement: parameters in order, reset at the end, also after a throw.
class Use {
 public:
  explicit Use(SQLite::Statement& statement) : statement_(statement) {}
  ~Use() { statement_.tryReset(); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  Use& operator<<(int64_t value) {
    statement_.bind(next_++, value);
    return *this;
  }
  Use& operator<<(const std::string& value) {
    if (is_clean_text(value))
      statement_.bind(next_++, value);
    else
      statement_.bind(next_++, clean_text(value));
    return *this;
  }
  // The value must live until the statement has run.
  Use& lasting(const std::string& value) {
    if (!is_clean_text(value)) return *this << value;
    statement_.bindNoCopy(next_++, value);
    return *this;
  }
  Use& lasting_text(const std::string& value) {
    return value.empty() ? text(value) : lasting(value);
  }
  Use& operator<<(const std::optional<int64_t>& value) { return maybe(value); }
  Use& operator<<(const std::optional<double>& value) { return maybe(value); }
  Use& text(const std::string& value) {
    if (value.empty()) {
      statement_.bind(next_++);
      return *this;
    }
    return *this << value;
  }
  void run() { statement_.exec(); }
  bool step() { return statement_.executeStep(); }
  SQLite::Column column(int index) { return statement_.getColumn(index); }

 private:
  template <class T>
  Use& maybe(const std::optional<T>& value) {
    if (value)
      statement_.bind(next_++, *value);
    else
      statement_.bind(next_++);
    return *this;
  }

  SQLite::Statement& statement_;
  int next_ = 1;
};

}  // namespace hm::store
