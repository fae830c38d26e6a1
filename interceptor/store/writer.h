// Two threads between the relay loop and the disk. The writer takes what is in the queue, 1024 rows
// or 25 ms of them, and has it committed by a thread that may wait for SQLite. Where that takes
// longer than some 30 ms (a lock, a full or slow disk, a file that is damaged or not to be opened)
// the rows go into the spool as well, and so do those that come meanwhile: some 100 ms after its
// call has ended no row is lost by the end of the process, kill -9 included. A commit that was only
// late ends that: the writer still holds these rows (16,384 at most) and gives them on from memory.
// After a failure, and beyond that number, the database gets them from the spool. Only when the
// spool takes no rows either do they wait in memory, and at last in the queue, which drops and
// counts. What dead processes left in the spool folder is read as well. A damaged database is moved
// aside and a new one made.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "interceptor/pricing/rate_card.h"
#include "interceptor/store/record_queue.h"
#include "interceptor/store/spool.h"

namespace hm::store {

struct WriterOptions {
  std::filesystem::path database;  // its folder is made when it is missing
  std::filesystem::path spool_dir;
  SpoolLimits spool;
  size_t batch_rows = 1024;  // so many need not wait for company
  size_t transaction_rows = 2048;
  std::chrono::milliseconds batch_wait{25};   // an idle queue's row waits so long for company
  std::chrono::milliseconds commit_wait{30};  // then the rows go into the spool
  std::chrono::milliseconds busy_timeout{250};
  std::chrono::milliseconds retry_first{100};  // doubled up to retry_most
  std::chrono::milliseconds retry_most{2000};
  std::chrono::milliseconds look_for_spools{5000};
};

// How the database is, in one word. `status` says it with what to do.
enum class StoreState : uint8_t { well, locked, disk_full, unwritable, damaged, slow, failing };
[[nodiscard]] const char* name_of(StoreState state);

// Read from any thread. Rows are calls and misses.
struct WriterStatus {
  std::atomic<int64_t> rows_written{0};    // committed since start
  std::atomic<int64_t> rows_safe{0};       // of those the queue accepted: committed or spooled
  std::atomic<int64_t> last_commit_us{0};  // wall; 0 = none yet
  std::atomic<int64_t> queue_depth{0};     // not committed yet: in memory and in the spool
  std::atomic<int64_t> in_memory{0};       // of these, safe from nothing
  std::atomic<int64_t> dropped{0};         // lost to a full queue
  std::atomic<int64_t> spooled{0};         // put into the spool since start
  std::atomic<bool> healthy{true};         // the last attempt to write worked
  std::atomic<StoreState> state{StoreState::well};
  std::atomic<int64_t> ill_since_us{0};           // wall; 0 = well
  std::atomic<bool> spool_works{true};            // the last row that was to be spooled was
  [[nodiscard]] std::string last_error() const;   // for people; empty when healthy
  [[nodiscard]] std::string spool_error() const;  // empty when the spool works
  [[nodiscard]] std::string notice() const;       // what happened to the file; empty: nothing

 private:
  friend class Writer;
  mutable std::mutex mutex_;
  std::string last_error_;
  std::string spool_error_;
  std::string notice_;
};

class Writer {
 public:
  // The queue and the clock must outlive the writer.
  Writer(WriterOptions options, RecordQueue& queue, std::shared_ptr<const pricing::RateCard> rates,
         const Clock& clock);
  ~Writer();  // stop()
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Starts the threads, which open and migrate the database. One that cannot be opened now is tried
  // again; rows are spooled until then. Errors only: no thread to be had.
  Result<void> begin();
  // Until that was tried once; no longer than half a second.
  void await_open();
  Result<void> start();  // both

  // Writes what is queued, within `patience`; the rest is spooled. Joins the threads. Idempotent.
  void stop(std::chrono::milliseconds patience = std::chrono::milliseconds(3000));

  // Waits until everything pushed before is committed. False: it was not, within the timeout.
  bool flush(std::chrono::milliseconds timeout);

  // Calls that are priced from now on use this card; stored costs stay.
  void set_rates(std::shared_ptr<const pricing::RateCard> rates);

  [[nodiscard]] const WriterStatus& status() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hm::store
