// What the writer has taken from the queue and the database has not committed yet, in order. The
// spool may hold copies of the first of them; once they are committed it is told. Inside this
// folder only; the writer's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "common/base/result.h"
#include "interceptor/store/record_queue.h"
#include "interceptor/store/spool.h"

namespace hm::store {

class HeldRows {
 public:
  using Rows = std::shared_ptr<const QueuedRows>;

  // `accepted`: how many of them the queue had accepted; that is what everything here counts.
  void add(QueuedRows rows, int64_t accepted);

  // The first, up to `most` rows or one batch, for the database; they are under way until
  // committed() or failed().
  [[nodiscard]] std::vector<Rows> give(size_t most);
  int64_t committed();  // how many they were
  void failed() { under_way_ = 0; }

  // The next ones that are safe from nothing yet; they are now the last of this spool.
  [[nodiscard]] const QueuedRows* unsaved() const;
  int64_t saved_in(const std::shared_ptr<Spool>& spool);

  // Forgets those that are in the spool and not under way: how many they were.
  int64_t leave_to_spool();
  int64_t lose();  // those that are safe from nothing; rows, accepted or not

  [[nodiscard]] bool empty() const { return batches_.empty(); }
  [[nodiscard]] bool spooled() const { return saved_ > 0; }  // the first of them
  [[nodiscard]] size_t rows() const { return rows_; }
  [[nodiscard]] int64_t in_memory_only() const { return unsaved_; }

 private:
  struct Batch {
    Rows rows;
    int64_t accepted = 0;
    std::shared_ptr<Spool> spool;  // null: safe from nothing
    int64_t spool_end = 0;
  };

  std::deque<Batch> batches_;
  size_t under_way_ = 0;  // the first of them
  size_t saved_ = 0;      // the first of them
  size_t rows_ = 0;       // accepted or not
  int64_t unsaved_ = 0;
};

}  // namespace hm::store
