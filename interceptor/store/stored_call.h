// A row read back: what it was priced from, and the price it has. Throws SQLite::Exception. Inside
// this folder only; the connection must outlive the reader.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "interceptor/store/stored_price.h"

namespace hm::store {

class CallReader {
 public:
  explicit CallReader(SQLite::Database& db);

  [[nodiscard]] std::optional<StoredCall> read(const std::string& id);
  [[nodiscard]] std::vector<PastPrice> past(const std::string& id);  // oldest first

 private:
  void read_children(const std::string& id, StoredCall& call);
  void restore_doubt(StoredCall& call) const;

  const bool has_history_;  // a database that only an older program has written has none
  SQLite::Statement request_;
  SQLite::Statement extra_;
  SQLite::Statement tool_;
  SQLite::Statement part_;
  SQLite::Statement line_;
  SQLite::Statement flag_;
  std::optional<SQLite::Statement> iteration_;
  std::optional<SQLite::Statement> past_;
  std::optional<SQLite::Statement> past_line_;
  std::optional<SQLite::Statement> past_flag_;
};

}  // namespace hm::store
