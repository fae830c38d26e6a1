// The thread that waits for SQLite, so that nobody else has to: a lock, a slow disk, a checkpoint.
// One job at a time: write batches, or empty spool files into the database. Its owner is one
// thread, the writer's. Inside this folder only.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "interceptor/pricing/rate_card.h"
#include "interceptor/store/record_queue.h"
#include "interceptor/store/spool.h"

namespace hm::store {

struct WriterOptions;

class DatabaseThread {
 public:
  using Card = std::shared_ptr<const pricing::RateCard>;
  using Batches = std::vector<std::shared_ptr<const QueuedRows>>;
  using Deadline = std::chrono::steady_clock::time_point;

  struct Outcome {
    Result<void> result;
    int64_t rows = 0;    // written, or known already
    std::string notice;  // what happened to the database file, for people
  };

  // `card` is asked from the thread, for each job.
  DatabaseThread(const WriterOptions& options, const Clock& clock, std::function<Card()> card);
  ~DatabaseThread();  // stop()
  DatabaseThread(const DatabaseThread&) = delete;
  DatabaseThread& operator=(const DatabaseThread&) = delete;

  [[nodiscard]] Result<void> start();
  void stop();  // after the transaction under way

  // Only when idle.
  void write(Batches batches);
  // The files of dead processes first, then these, until all are empty or one row cannot be
  // written.
  void replay(std::vector<std::shared_ptr<Spool>> spools);

  [[nodiscard]] bool idle() const;  // no job, and its outcome was taken
  // Of the job given last; empty: it is still under way.
  [[nodiscard]] std::optional<Outcome> outcome(Deadline wait_until);

 private:
  struct Job {
    Batches batches;  // none: replay
    std::vector<std::shared_ptr<Spool>> spools;
  };
  struct Thread;  // what the thread itself works with

  void give(Job job);
  void run();

  const WriterOptions& options_;
  const Clock& clock_;
  const std::function<Card()> card_;
  std::thread thread_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::optional<Job> job_;
  std::optional<Outcome> outcome_;
  bool working_ = false;
  bool stopping_ = false;
};

}  // namespace hm::store
