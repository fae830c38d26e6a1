// Statements that put rows into an open database. Throws SQLite::Exception; the caller owns the
// transaction. Inside this folder only; the writer's thread.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "interceptor/call_record.h"
#include "interceptor/pricing/price.h"
#include "interceptor/pricing/rate_card.h"
#include "interceptor/store/bulk_insert.h"

namespace hm::store {

class RowWriter {
 public:
  explicit RowWriter(SQLite::Database& db);  // the database must outlive it
  ~RowWriter();

  // Prices and inserts. A response that was read before (its retrieval, a resumed stream, results
  // downloaded again) updates its row instead, unless the row knows more.
  void write(const CallRecord& record, const pricing::RateCard& card);
  void write(const MissRecord& record);
  // The same for many calls, in their order, with few statements. It throws and ends the
  // transaction when a row is in already or breaks a rule of the schema.
  void write_together(const std::deque<CallRecord>& calls, size_t first, size_t count,
                      const pricing::RateCard& card);

  // The price of a stored row; the one it had goes to the history.
  void replace_price(const std::string& id, const pricing::PriceResult& price,
                     const std::string& now);

  // The card into pricing_rates, once per card.
  void write_rates(const pricing::RateCard& card);

  // At the beginning of a transaction: another program may have removed what is known.
  void begin();
  // After a rollback: what was learned inside the transaction is not so.
  void forget();

 private:
  struct Statements;
  [[nodiscard]] int64_t rows_of_call(const std::string& call_id);
  [[nodiscard]] bool is_told_already(const MissRecord& miss);
  const std::string& project_id(const CallRecord& record);
  void bound_projects();
  void write_new(const std::deque<CallRecord>& calls, size_t first, size_t end,
                 const pricing::RateCard& card);
  void write_children(const CallRecord& record, const std::string& id,
                      const pricing::PriceResult& price);
  void take_back_loss(const std::string& call_id);
  void write_rare_children(const CallRecord& record, const std::string& id,
                           const pricing::PriceResult& price);
  void write_lines(const std::string& id, const pricing::PriceResult& price);
  void write_flags(const std::string& id, const std::vector<std::string>& flags);

  SQLite::Database& db_;
  std::unique_ptr<Statements> statements_;
  std::unique_ptr<BulkInsert> bulk_;             // null until there is something for it
  std::vector<PricedCall> priced_;               // its rows under way
  std::map<std::string, std::string> projects_;  // slug to id
  int64_t seen_version_ = -1;                    // of the database, as others change it
};

}  // namespace hm::store
