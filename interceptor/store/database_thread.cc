#include "interceptor/store/database_thread.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "common/base/background.h"
#include "common/base/log.h"
#include "interceptor/store/batch_writer.h"
#include "interceptor/store/writer.h"

namespace hm::store {
namespace {

constexpr std::chrono::milliseconds kRestAfter{500};

}  // namespace

struct DatabaseThread::Thread {
  Thread(const WriterOptions& options_in, const Clock& clock_in)
      : options(options_in), clock(clock_in), writer(options_in, clock_in) {}

  const WriterOptions& options;
  const Clock& clock;
  BatchWriter writer;
  std::vector<std::unique_ptr<Spool>> dead;  // files of dead processes, not empty yet

  Result<int64_t> drain(Spool& spool, const Card& card, const std::function<bool()>& stopping);
  Result<int64_t> replay(const Job& job, const Card& card, const std::function<bool()>& stopping);
  QueuedRows damage_of(Spool& spool) const;
};

// What a damaged file held and nobody can read any more.
QueuedRows DatabaseThread::Thread::damage_of(Spool& spool) const {
  QueuedRows told;
  MissRecord& miss = told.misses.emplace_back();
  miss.source = "spool-" + spool.path().filename().string();
  miss.at_us = clock.wall_us();
  miss.reason = "spool_damaged";
  miss.count = std::max<int64_t>(1, spool.rows());
  return told;
}

Result<int64_t> DatabaseThread::Thread::drain(Spool& spool, const Card& card,
                                              const std::function<bool()>& stopping) {
  int64_t rows = 0;
  while (!spool.given_up()) {
    const auto chunk = spool.read(options.transaction_rows);
    if (!chunk || chunk->damaged) {  // not to be read: it must not keep the others waiting
      if (auto told = writer.write(damage_of(spool), card); !told)
        return std::unexpected(told.error());
      log::error("store.spool_damaged")
          .with("file", spool.path().string())
          .with("next", "the file is kept beside the spool under the name *.bad");
      spool.give_up();
      break;
    }
    if (chunk->rows.rows() == 0) break;
    if (auto written = writer.write(chunk->rows, card); !written)
      return std::unexpected(written.error());
    spool.advance(*chunk);
    rows += static_cast<int64_t>(chunk->rows.rows());
    if (stopping()) return fail(Code::closed, "store.replay");
  }
  return rows;
}

Result<int64_t> DatabaseThread::Thread::replay(const Job& job, const Card& card,
                                               const std::function<bool()>& stopping) {
  if (auto opened = writer.open(card); !opened) return std::unexpected(opened.error());
  if (dead.empty()) dead = Spool::take_dead(options.spool_dir);
  int64_t rows = 0;
  while (!dead.empty()) {
    Spool& oldest = *dead.front();
    const auto drained = drain(oldest, card, stopping);
    if (!drained) return drained;
    rows += *drained;
    log::info("store.unspooled").with("file", oldest.path().string()).with("rows", *drained);
    if (!oldest.given_up()) oldest.remove();
    dead.erase(dead.begin());
  }
  for (const auto& spool : job.spools) {
    const auto drained = drain(*spool, card, stopping);
    if (!drained) return drained;
    rows += *drained;
  }
  return rows;
}

DatabaseThread::DatabaseThread(const WriterOptions& options, const Clock& clock,
                               std::function<Card()> card)
    : options_(options), clock_(clock), card_(std::move(card)) {}

DatabaseThread::~DatabaseThread() {
  stop();
}

Result<void> DatabaseThread::start() {
  try {
    thread_ = std::thread([this] {
      never_interrupt_others();
      run();
    });
  } catch (const std::system_error& error) {
    return fail(Code::exhausted, "store.database.thread", error.code().value());
  }
  return {};
}

void DatabaseThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void DatabaseThread::write(Batches batches) {
  give({std::move(batches), {}});
}

void DatabaseThread::replay(std::vector<std::shared_ptr<Spool>> spools) {
  give({{}, std::move(spools)});
}

void DatabaseThread::give(Job job) {
  {
    const std::lock_guard lock(mutex_);
    job_ = std::move(job);
  }
  changed_.notify_all();
}

bool DatabaseThread::idle() const {
  const std::lock_guard lock(mutex_);
  return !job_ && !working_ && !outcome_;
}

std::optional<DatabaseThread::Outcome> DatabaseThread::outcome(Deadline wait_until) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, wait_until, [this] { return outcome_.has_value(); });
  return std::exchange(outcome_, std::nullopt);
}

void DatabaseThread::run() {
  Thread thread(options_, clock_);
  const auto stopping = [this] {
    const std::lock_guard lock(mutex_);
    return stopping_;
  };
  bool rested = true;
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      const auto asked = [this] { return stopping_ || job_; };
      if (!rested && !changed_.wait_for(lock, kRestAfter, asked)) {
        rested = true;
        lock.unlock();
        thread.writer.rest();
        continue;
      }
      changed_.wait(lock, asked);
      if (stopping_) return;
      job = *std::exchange(job_, std::nullopt);
      working_ = true;
    }
    Outcome outcome;
    const Card card = card_();
    if (!job.batches.empty()) {
      for (const auto& batch : job.batches) {
        outcome.result = thread.writer.write(*batch, card);
        if (!outcome.result) break;
        outcome.rows += static_cast<int64_t>(batch->rows());
      }
    } else if (auto replayed = thread.replay(job, card, stopping)) {
      outcome.rows = *replayed;
    } else {
      outcome.result = std::unexpected(replayed.error());
    }
    rested = rested && outcome.rows == 0;
    outcome.notice = thread.writer.take_notice();
    {
      const std::lock_guard lock(mutex_);
      outcome_ = std::move(outcome);
      working_ = false;
    }
    changed_.notify_all();
  }
}

}  // namespace hm::store
