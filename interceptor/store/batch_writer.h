// Puts batches of rows into the database: opens it, makes it anew when it was removed, moves it
// aside when it is damaged. Blocks for as long as SQLite does. Inside this folder only; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "interceptor/pricing/rate_card.h"
#include "interceptor/store/checkpointer.h"
#include "interceptor/store/database.h"
#include "interceptor/store/record_queue.h"
#include "interceptor/store/row_writer.h"
#include "interceptor/store/writer.h"

namespace hm::store {

class BatchWriter {
 public:
  using Card = std::shared_ptr<const pricing::RateCard>;

  BatchWriter(const WriterOptions& options, const Clock& clock);
  ~BatchWriter() { close(); }
  BatchWriter(const BatchWriter&) = delete;
  BatchWriter& operator=(const BatchWriter&) = delete;

  [[nodiscard]] Result<void> open(const Card& card);
  // All of them, in transactions of options.transaction_rows. After a failure some may be in: rows
  // that are given again are told by their names. A row that breaks a rule of the schema becomes a
  // miss.
  [[nodiscard]] Result<void> write(const QueuedRows& rows, const Card& card);
  void close();
  // Nothing came for a while: what was used for speed alone goes back to the system.
  void rest() const;

  // What happened to the file since the last call, for people; empty: nothing.
  [[nodiscard]] std::string take_notice() { return std::exchange(notice_, {}); }

 private:
  struct Part {  // of a batch
    size_t first_call, calls, first_miss, misses;
  };

  [[nodiscard]] Result<void> open_anew(const Card& card);
  // A row that is in already, or breaks a rule, is `refused` together with all others.
  enum class Way : uint8_t { together, row_by_row };
  [[nodiscard]] Result<void> write_part(const QueuedRows& rows, const Part& part, const Card& card,
                                        Way way);
  [[nodiscard]] Result<void> write_one_by_one(const QueuedRows& rows, const Part& part,
                                              const Card& card);
  [[nodiscard]] Result<void> explained(Error error);
  [[nodiscard]] bool head_is_damaged();
  void note_card(const Card& card);
  void tell(const QueuedRows& rows, const Part& part, int64_t started_us) const;

  const WriterOptions& options_;
  const Clock& clock_;
  // Statements go before the connection they belong to.
  std::unique_ptr<SQLite::Database> db_;
  Checkpointer checkpointer_;
  std::unique_ptr<RowWriter> rows_;
  FileIdentity file_;
  const pricing::RateCard* noted_card_ = nullptr;  // pricing_rates is known to hold it
  std::string notice_;
};

}  // namespace hm::store
