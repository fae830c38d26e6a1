// Many new calls into `requests` and `request_cost_lines`, one statement per table. Throws
// SQLite::Exception; a row that is in already or breaks a rule of the schema ends the transaction,
// and then each row needs a statement of its own. Inside this folder only; the writer's thread.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "interceptor/call_record.h"
#include "interceptor/pricing/price.h"
#include "interceptor/store/bulk_table.h"

namespace hm::store {

struct PricedCall {
  const CallRecord* record = nullptr;
  const std::string* project_id = nullptr;
  pricing::PriceResult price;
};

class BulkInsert {
 public:
  explicit BulkInsert(SQLite::Database& db);  // the database must outlive it

  void run(std::span<const PricedCall> calls);
  // The call_id of those that a miss counts as lost with their interceptor.
  [[nodiscard]] std::set<std::string> lost(std::span<const PricedCall> calls);

 private:
  BulkTable call_rows_, line_rows_, id_rows_;  // statements go before the tables they read
  SQLite::Statement calls_, lines_, lost_;
  std::vector<std::pair<size_t, size_t>> order_;  // of lines: call, line
};

}  // namespace hm::store
