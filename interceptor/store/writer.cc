#include "interceptor/store/writer.h"

#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "interceptor/store/database.h"
#include "interceptor/store/row_writer.h"
#include "interceptor/store/spool.h"
#include "interceptor/store/sqlite_error.h"

namespace hm::store {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kIdleWait{1000};
constexpr std::chrono::seconds kRepeatComplaint{60};

const char* hint_for(Code code) {
  switch (code) {
    case Code::busy:
      return "another program holds the database; rows wait until it lets go";
    case Code::exhausted:
      return "the disk is full; rows wait until there is room";
    case Code::permission:
      return "the database cannot be written; check its owner, mode and folder";
    case Code::malformed:
      return "the database is damaged and will be moved aside";
    default:
      return "rows wait";
  }
}

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

std::optional<FileIdentity> identity_of(const std::filesystem::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileIdentity{info.st_dev, info.st_ino};
}

}  // namespace

struct Writer::Parts {
  Parts(WriterOptions options_in, RecordQueue& queue_in,
        std::shared_ptr<const pricing::RateCard> rates_in, const Clock& clock_in)
      : options(std::move(options_in)),
        queue(queue_in),
        clock(clock_in),
        rates(std::move(rates_in)) {}

  const WriterOptions options;
  RecordQueue& queue;
  const Clock& clock;
  WriterStatus status;
  std::thread thread;

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::shared_ptr<const pricing::RateCard> rates;
  std::optional<Steady::time_point> stop_by;
  int64_t done = 0;  // of the rows that the queue accepted

  // The thread's own. Statements go before the connection they belong to.
  std::unique_ptr<SQLite::Database> db;
  std::unique_ptr<RowWriter> rows;
  std::optional<FileIdentity> file;
  bool spool_read = false;
  const pricing::RateCard* noted_card = nullptr;  // the card that pricing_rates is known to hold
  QueuedRows pending;
  size_t calls_done = 0, misses_done = 0;  // of pending
  int64_t pending_accepted = 0;
  Steady::time_point complained_at;

  void run();
  bool refill();
  void finish_pending();
  Result<void> open();
  void close() {
    rows.reset();
    db.reset();
  }
  Result<void> write_batch();
  Result<void> write_rows(size_t calls, size_t misses);
  Result<void> write_one_by_one(size_t calls, size_t misses);
  void committed(size_t calls, size_t misses, int64_t started_us);
  void note_card(const pricing::RateCard& rate_card) {
    if (noted_card == &rate_card) return;
    rows->write_rates(rate_card);
    noted_card = &rate_card;
  }
  void read_spool_files();
  void spool_rest();
  void failed(const Error& error);
  void worked();
  bool pause(milliseconds time);

  std::shared_ptr<const pricing::RateCard> card() {
    const std::lock_guard lock(mutex);
    return rates;
  }
  bool out_of_time() {
    const std::lock_guard lock(mutex);
    return stop_by && Steady::now() >= *stop_by;
  }
  [[nodiscard]] size_t pending_rows() const { return pending.rows() - calls_done - misses_done; }
  void show_depth() {
    status.queue_depth.store(static_cast<int64_t>(queue.depth() + pending_rows()));
  }
};

std::string WriterStatus::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

Result<void> Writer::Parts::open() {
  const auto now = identity_of(options.database);
  if (db != nullptr && now == file) return {};
  // Also when somebody removed or replaced the file below us: rows must not go into nowhere.
  close();
  auto opened = open_database(options.database, options.busy_timeout, clock);
  if (!opened) return std::unexpected(opened.error());
  db = std::move(*opened);
  file = identity_of(options.database);
  try {
    rows = std::make_unique<RowWriter>(*db);
    noted_card = nullptr;
    SQLite::Transaction transaction(*db, SQLite::TransactionBehavior::IMMEDIATE);
    note_card(*card());
    transaction.commit();
  } catch (const SQLite::Exception& exception) {
    close();
    return std::unexpected(from_sqlite(exception, "store.open"));
  }
  if (!std::exchange(spool_read, true)) read_spool_files();
  return {};
}

// One transaction per file, which also notes the file's name: whatever happens between commit and
// unlink, no row is read twice.
void Writer::Parts::read_spool_files() {
  for (const auto& path : list_spool(options.spool_dir)) {
    const std::string name = path.filename().string();
    std::error_code ignored;
    const auto spooled = read_spool(path);
    if (!spooled) {
      log::error("store.spool_unreadable").with("file", path.string()).with(spooled.error());
      std::filesystem::rename(path, path.string() + ".bad", ignored);
      continue;
    }
    try {
      SQLite::Transaction transaction(*db, SQLite::TransactionBehavior::IMMEDIATE);
      SQLite::Statement note(*db, "INSERT OR IGNORE INTO _spool (name, read_at) VALUES (?, ?)");
      note.bind(1, name);
      note.bind(2, iso8601_utc(clock.wall_us()));
      if (note.exec() > 0) {
        const auto rate_card = card();
        for (const CallRecord& record : spooled->calls) rows->write(record, *rate_card);
        for (const MissRecord& record : spooled->misses) rows->write(record);
      }
      transaction.commit();
    } catch (const SQLite::Exception& exception) {
      rows->forget();
      spool_read = false;  // the file stays for the next time
      log::warn("store.spool_waits")
          .with("file", path.string())
          .with(from_sqlite(exception, "store.spool"));
      return;
    }
    log::info("store.unspooled")
        .with("file", name)
        .with("rows", spooled->calls.size() + spooled->misses.size())
        .with("damaged", spooled->damaged);
    // What is behind the damage cannot be read, but a person may want to look.
    if (spooled->damaged)
      std::filesystem::rename(path, path.string() + ".bad", ignored);
    else
      std::filesystem::remove(path, ignored);
  }
}

// Something to write into `pending`. False: the queue is closed and empty.
bool Writer::Parts::refill() {
  while (true) {
    show_depth();
    const bool some = queue.wait(kIdleWait);
    if (!some && queue.closed()) return false;
    if (!some) {
      if (!spool_read && !open()) continue;  // nobody calls, but the spool may be waiting
      continue;
    }
    queue.wait_for_rows(options.batch_rows, options.batch_wait);
    pending = queue.take();
    pending_accepted = static_cast<int64_t>(pending.rows());
    calls_done = misses_done = 0;
    if (pending.dropped > 0) {
      status.dropped.fetch_add(pending.dropped);
      log::warn("store.dropped").with("rows", pending.dropped);
      MissRecord miss;
      miss.at_us = clock.wall_us();
      miss.reason = "queue_full";
      miss.count = pending.dropped;
      pending.misses.push_back(std::move(miss));
    }
    return true;
  }
}

void Writer::Parts::finish_pending() {
  pending = {};
  calls_done = misses_done = 0;
  {
    const std::lock_guard lock(mutex);
    done += std::exchange(pending_accepted, 0);
  }
  changed.notify_all();
}

Result<void> Writer::Parts::write_rows(size_t calls, size_t misses) {
  try {
    const auto rate_card = card();
    SQLite::Transaction transaction(*db, SQLite::TransactionBehavior::IMMEDIATE);
    note_card(*rate_card);
    for (size_t i = 0; i < calls; ++i) rows->write(pending.calls[calls_done + i], *rate_card);
    for (size_t i = 0; i < misses; ++i) rows->write(pending.misses[misses_done + i]);
    transaction.commit();
    return {};
  } catch (const SQLite::Exception& exception) {
    rows->forget();
    noted_card = nullptr;
    return std::unexpected(from_sqlite(exception, "store.write"));
  }
}

// One row of the batch broke a rule of the schema. It must not take the others with it, nor be
// tried for ever.
Result<void> Writer::Parts::write_one_by_one(size_t calls, size_t misses) {
  static Counter& rejected = counters::get("store.rejected");
  for (size_t i = 0; i < calls + misses; ++i) {
    const bool is_call = i < calls;
    const int64_t started = clock.steady_us();
    const auto written = write_rows(is_call ? 1 : 0, is_call ? 0 : 1);
    if (written) {
      committed(is_call ? 1 : 0, is_call ? 0 : 1, started);
      continue;
    }
    if (written.error().code != Code::refused) return written;
    rejected.add();
    log::error("store.rejected")
        .with("id", is_call ? pending.calls[calls_done].id : std::string("miss"))
        .with(written.error());
    ++(is_call ? calls_done : misses_done);
  }
  return {};
}

Result<void> Writer::Parts::write_batch() {
  if (auto opened = open(); !opened) return opened;
  const size_t calls = std::min(pending.calls.size() - calls_done, options.batch_rows);
  const size_t misses = std::min(pending.misses.size() - misses_done, options.batch_rows - calls);
  const int64_t started = clock.steady_us();
  auto written = write_rows(calls, misses);
  if (written) {
    committed(calls, misses, started);
    return {};
  }
  const Code code = written.error().code;
  if (code == Code::refused) return write_one_by_one(calls, misses);
  // A lock passes and the connection stays good; after anything else a fresh one is safer.
  if (code != Code::busy) close();
  if (code == Code::malformed) {
    if (auto moved = move_aside(options.database, "corrupt", clock); !moved) return moved;
  }
  return written;
}

void Writer::Parts::committed(size_t calls, size_t misses, int64_t started_us) {
  status.rows_written.fetch_add(static_cast<int64_t>(calls + misses));
  status.last_commit_us.store(clock.wall_us());
  if (log::level() == log::Level::debug) {
    for (size_t i = 0; i < calls; ++i) {
      const CallRecord& record = pending.calls[calls_done + i];
      log::debug("intercept.complete")
          .with("id", record.id)
          .with("provider", record.provider)
          .with("model", record.model)
          .with("project", record.attribution.project)
          .with("tokens_complete", record.tokens_complete)
          .with("duration_ms", record.duration_us / 1000);
    }
    log::debug("store.written")
        .with("rows", calls + misses)
        .with("took_us", clock.steady_us() - started_us);
  }
  calls_done += calls;
  misses_done += misses;
}

void Writer::Parts::failed(const Error& error) {
  static Counter& failures = counters::get("store.failures");
  failures.add();
  const bool was_healthy = status.healthy.exchange(false);
  {
    const std::lock_guard lock(status.mutex_);
    status.last_error_ = describe(error) + ": " + hint_for(error.code);
  }
  const auto now = Steady::now();
  if (was_healthy || now - complained_at >= kRepeatComplaint) {
    complained_at = now;
    log::warn("store.failed")
        .with(error)
        .with("file", options.database.string())
        .with("waiting", pending_rows() + queue.depth())
        .with("next", hint_for(error.code));
  }
  show_depth();
}

void Writer::Parts::worked() {
  if (status.healthy.exchange(true)) return;
  {
    const std::lock_guard lock(status.mutex_);
    status.last_error_.clear();
  }
  log::info("store.recovered").with("waiting", pending_rows());
}

// Sleeps, unless the stop comes; then only as long as there is time. False: no time left.
bool Writer::Parts::pause(milliseconds time) {
  std::unique_lock lock(mutex);
  const auto until = Steady::now() + time;
  if (!stop_by) changed.wait_until(lock, until, [this] { return stop_by.has_value(); });
  if (!stop_by) return true;
  const auto next = std::min(Steady::now() + options.retry_first, *stop_by);
  changed.wait_until(lock, next, [] { return false; });
  return Steady::now() < *stop_by;
}

void Writer::Parts::run() {
  milliseconds backoff = options.retry_first;
  while (pending_rows() > 0 || refill()) {
    if (auto written = write_batch(); !written) {
      failed(written.error());
      // A damaged file was just replaced: at once again, but not for ever.
      const bool at_once =
          written.error().code == Code::malformed && backoff == options.retry_first;
      if (!at_once && !pause(backoff)) break;
      if (out_of_time()) break;
      backoff = std::min(backoff * 2, options.retry_most);
      continue;
    }
    backoff = options.retry_first;
    worked();
    if (pending_rows() == 0) finish_pending();
    show_depth();
    if (out_of_time()) break;
  }
  spool_rest();
  close();
}

void Writer::Parts::spool_rest() {
  pending.calls.erase(pending.calls.begin(),
                      pending.calls.begin() + static_cast<std::ptrdiff_t>(calls_done));
  pending.misses.erase(pending.misses.begin(),
                       pending.misses.begin() + static_cast<std::ptrdiff_t>(misses_done));
  calls_done = misses_done = 0;
  QueuedRows last = queue.take();
  pending_accepted += static_cast<int64_t>(last.rows());
  std::move(last.calls.begin(), last.calls.end(), std::back_inserter(pending.calls));
  std::move(last.misses.begin(), last.misses.end(), std::back_inserter(pending.misses));
  if (last.dropped > 0) {
    status.dropped.fetch_add(last.dropped);
    MissRecord miss;
    miss.at_us = clock.wall_us();
    miss.reason = "queue_full";
    miss.count = last.dropped;
    pending.misses.push_back(std::move(miss));
  }
  const auto rest = static_cast<int64_t>(pending.rows());
  if (rest > 0) {
    const auto name =
        write_spool(options.spool_dir, clock.wall_us(), pending.calls, pending.misses);
    if (name) {
      status.spooled.fetch_add(rest);
      log::warn("store.spooled").with("rows", rest).with("file", *name);
    } else {
      static Counter& lost = counters::get("store.lost");
      lost.add(rest);
      log::error("store.lost").with("rows", rest).with(name.error());
    }
  }
  finish_pending();
  show_depth();
}

Writer::Writer(WriterOptions options, RecordQueue& queue,
               std::shared_ptr<const pricing::RateCard> rates, const Clock& clock)
    : parts_(std::make_unique<Parts>(std::move(options), queue, std::move(rates), clock)) {}

Writer::~Writer() {
  stop();
}

Result<void> Writer::start() {
  if (auto opened = parts_->open(); !opened) parts_->failed(opened.error());
  try {
    parts_->thread = std::thread([parts = parts_.get()] { parts->run(); });
  } catch (const std::system_error& error) {
    return fail(Code::exhausted, "store.writer.thread", error.code().value());
  }
  return {};
}

void Writer::stop(milliseconds patience) {
  if (!parts_->thread.joinable()) return;
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->stop_by = Steady::now() + patience;
  }
  parts_->changed.notify_all();
  parts_->queue.close();
  parts_->thread.join();
}

bool Writer::flush(milliseconds timeout) {
  const int64_t target = parts_->queue.accepted();
  std::unique_lock lock(parts_->mutex);
  return parts_->changed.wait_for(lock, timeout, [&] { return parts_->done >= target; });
}

void Writer::set_rates(std::shared_ptr<const pricing::RateCard> rates) {
  const std::lock_guard lock(parts_->mutex);
  parts_->rates = std::move(rates);
}

const WriterStatus& Writer::status() const {
  return parts_->status;
}

}  // namespace hm::store
