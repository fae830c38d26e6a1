// Hand-over from the relay loop to the writer. Bounded: 65,536 rows or 64 MiB by estimate, whatever
// comes first; beyond that a record is dropped and counted ("store.dropped"), and the count itself
// is later written as a miss of reason queue_full. push() from any thread, never blocks for longer
// than the other side's swap; everything else is the writer's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>

#include "interceptor/call_record.h"

namespace hm::store {

struct QueueLimits {
  size_t rows = 65'536;
  size_t bytes = 64 * 1024 * 1024;
};

struct QueuedRows {
  std::deque<CallRecord> calls;  // a record is large: it stays where it was put
  std::deque<MissRecord> misses;
  int64_t dropped = 0;  // since the last take

  [[nodiscard]] size_t rows() const { return calls.size() + misses.size(); }
  [[nodiscard]] bool empty() const { return rows() == 0 && dropped == 0; }
};

class RecordQueue final : public RecordSink {
 public:
  explicit RecordQueue(QueueLimits limits = {});
  RecordQueue(const RecordQueue&) = delete;
  RecordQueue& operator=(const RecordQueue&) = delete;

  bool push(CallRecord&& record) noexcept override;
  bool push(MissRecord&& record) noexcept override;
  // A sixteenth is kept for the calls that are under way.
  [[nodiscard]] bool has_room() const noexcept override;

  // Waits until something is there, or close(), or the timeout. True: there is something.
  bool wait(std::chrono::milliseconds timeout);
  // Waits until at least `rows` are there, or close(), or the timeout: to fill a batch.
  void wait_for_rows(size_t rows, std::chrono::milliseconds timeout);
  [[nodiscard]] QueuedRows take();  // everything

  void close();  // wakes the waiter for good; pushing still works
  [[nodiscard]] bool closed() const;
  [[nodiscard]] size_t depth() const;
  [[nodiscard]] int64_t accepted() const;  // rows ever taken in

 private:
  template <class Record>
  bool push_to(std::deque<Record>& list, Record&& record) noexcept;

  const QueueLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable something_;
  QueuedRows rows_;
  size_t bytes_ = 0;
  size_t wanted_ = 1;  // rows that wake the waiter
  int64_t accepted_ = 0;
  bool closed_ = false;
};

}  // namespace hm::store
