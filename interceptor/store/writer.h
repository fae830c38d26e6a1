// The only writer of the database, on a thread of its own. It takes the whole queue, prices it and
// commits in batches of 256 rows or 50 ms; a single row is in the file some 50 ms after its push.
// A database that is locked, full or unwritable makes rows wait (with one log line per change of
// state), never the relay. What cannot be written at stop goes to a file in the spool folder and is
// read back at the next start. A corrupt database is moved aside and a new one made.
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

namespace hm::store {

struct WriterOptions {
  std::filesystem::path database;  // its folder is made when it is missing
  std::filesystem::path spool_dir;
  size_t batch_rows = 256;
  std::chrono::milliseconds batch_wait{40};  // an idle queue's row waits so long for company
  std::chrono::milliseconds busy_timeout{250};
  std::chrono::milliseconds retry_first{100};  // doubled up to retry_most
  std::chrono::milliseconds retry_most{5000};
};

// Read from any thread.
struct WriterStatus {
  std::atomic<int64_t> rows_written{0};          // calls and misses committed since start
  std::atomic<int64_t> last_commit_us{0};        // wall; 0 = none yet
  std::atomic<int64_t> queue_depth{0};           // rows not committed yet
  std::atomic<int64_t> dropped{0};               // rows lost to a full queue
  std::atomic<int64_t> spooled{0};               // rows put into the spool
  std::atomic<bool> healthy{true};               // the last attempt to write worked
  [[nodiscard]] std::string last_error() const;  // for people; empty when healthy

 private:
  friend class Writer;
  mutable std::mutex mutex_;
  std::string last_error_;
};

class Writer {
 public:
  // The queue and the clock must outlive the writer.
  Writer(WriterOptions options, RecordQueue& queue, std::shared_ptr<const pricing::RateCard> rates,
         const Clock& clock);
  ~Writer();  // stop()
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Opens and migrates the database and starts the thread. A database that cannot be opened now is
  // reported and tried again by the thread; rows wait until then. Errors only: no thread to be had.
  Result<void> start();

  // Writes what is queued, within `patience`; the rest is spooled. Joins the thread. Idempotent.
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
