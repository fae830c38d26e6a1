// Rows in memory as a table that a statement of SQLite reads: one INSERT ... SELECT for many rows
// opens every index once, stays at the end of those that grow there, and binds nothing. Throws
// SQLite::Exception. Inside this folder only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

struct sqlite3_context;

namespace hm::store {

// The values of one row, in the order of the columns. Takes the same words as Use.
class RowValues {
 public:
  explicit RowValues(size_t columns);

  RowValues& operator<<(int64_t value);
  RowValues& operator<<(const std::optional<int64_t>& value);
  RowValues& operator<<(const std::optional<double>& value);
  RowValues& operator<<(std::string value);
  // The value must live until the statement has run; so must its place.
  RowValues& lasting(const std::string& value);
  RowValues& lasting_text(const std::string& value);  // an empty string is null

  void clear();
  void give(sqlite3_context* context, int column) const;

 private:
  struct Value {
    enum class Kind : uint8_t { null, integer, real, text } kind = Kind::null;
    int size = 0;
    union {
      int64_t integer = 0;
      double real;
      const char* text;
    };
  };
  std::vector<Value> values_;
  std::vector<std::string> owned_;  // never grows beyond what was reserved: texts stay in place
};

class BulkTable {
 public:
  // Puts row number `row`, counted from 0, into the values. False: there is none any more.
  using Fill = std::function<bool(size_t row, RowValues& values)>;

  // The database must outlive it. Its columns are c0, c1, ...
  BulkTable(SQLite::Database& db, const char* name, size_t columns);
  ~BulkTable();
  BulkTable(const BulkTable&) = delete;
  BulkTable& operator=(const BulkTable&) = delete;

  void set(Fill fill) { fill_ = std::move(fill); }

 private:
  struct Module;  // what SQLite calls

  SQLite::Database& db_;
  const std::string name_;
  const size_t columns_;
  Fill fill_;
};

}  // namespace hm::store
