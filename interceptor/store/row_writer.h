// Statements that put rows into an open database. Throws SQLite::Exception; the caller owns the
// transaction. Inside this folder only; the writer's thread.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "interceptor/call_record.h"
#include "interceptor/pricing/price.h"
#include "interceptor/pricing/rate_card.h"

namespace hm::store {

class RowWriter {
 public:
  explicit RowWriter(SQLite::Database& db);  // the database must outlive it
  ~RowWriter();

  // Prices and inserts. A response that was read before (its retrieval, a resumed stream, results
  // downloaded again) updates its row instead, unless the row knows more.
  void write(const CallRecord& record, const pricing::RateCard& card);
  void write(const MissRecord& record);

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
  std::string project_id(const std::string& slug, const std::string& now);
  void write_children(const CallRecord& record, const std::string& id,
                      const pricing::PriceResult& price);
  void take_back_loss(const std::string& call_id);
  void write_price_children(const std::string& id, const pricing::PriceResult& price);

  SQLite::Database& db_;
  std::unique_ptr<Statements> statements_;
  std::map<std::string, std::string> projects_;  // slug to id; at most kMaxKnownProjects
  int64_t seen_version_ = -1;                    // of the database, as others change it
};

}  // namespace hm::store
