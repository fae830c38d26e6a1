#include "interceptor/store/writer.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/background.h"
#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/base/random_id.h"
#include "interceptor/store/database_thread.h"
#include "interceptor/store/held_rows.h"
#include "interceptor/store/spool.h"
#include "interceptor/store/writer_status.h"

namespace hm::store {
namespace {

using Steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kIdleWait{1000};
constexpr milliseconds kWatch{20};   // how often a job that takes long is looked at
constexpr milliseconds kGather{10};  // of rows that come while one does
constexpr size_t kMostHeld = 16'384;
constexpr milliseconds kFirstOpen{500};
constexpr std::chrono::seconds kSlow{2};
constexpr std::chrono::seconds kRepeatComplaint{60};

}  // namespace

struct Writer::Parts {
  Parts(WriterOptions options_in, RecordQueue& queue_in,
        std::shared_ptr<const pricing::RateCard> rates_in, const Clock& clock_in)
      : options(std::move(options_in)),
        queue(queue_in),
        clock(clock_in),
        rates(std::move(rates_in)),
        database(options, clock, [this] {
          const std::lock_guard lock(mutex);
          return rates;
        }) {}

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
  bool tried_to_open = false;

  // The thread's own.
  DatabaseThread database;
  HeldRows held;
  bool opened = false;                          // tried to
  std::shared_ptr<Spool> spool;                 // our file; null: none yet
  std::vector<std::shared_ptr<Spool>> orphans;  // ours as well, but somebody removed their names
  // Rows that are in the spool alone: these come first, from there.
  bool behind = false;
  int64_t behind_accepted = 0;
  // `foreign`: the files of dead processes; `own`: ours as well.
  enum class Job : uint8_t { none, write, foreign, own } job = Job::none;
  Steady::time_point job_since;
  milliseconds backoff{0};
  Steady::time_point try_at;   // not before, while it is ill
  Steady::time_point look_at;  // for spool files of dead processes
  Steady::time_point complained_at;
  Steady::time_point spool_complained_at;
  const std::string name = "daemon-" + random_hex_id().substr(0, 16);  // of the misses seen here
  int64_t next_miss = 1;

  void run();
  bool gather();
  void take();
  bool commit_held();
  bool spool_held();
  void leave_to_spool();
  void make_spool();
  void begin_replay();
  void watch_job();
  void handle(const DatabaseThread::Outcome& outcome);
  void judge(const DatabaseThread::Outcome& outcome);
  void failed(const Error& error);
  void ill(StoreState state, std::string words);
  void worked();
  void spool_worked();
  void spool_failed(const Error& error);
  void count_safe(int64_t rows) { status.rows_safe.fetch_add(rows); }
  void count_done(int64_t rows);
  void leave();
  void rest(milliseconds time);
  void show_depth();

  [[nodiscard]] bool spools_hold() const {
    const auto holds = [](const std::shared_ptr<Spool>& one) { return !one->empty(); };
    return (spool != nullptr && holds(spool)) || std::any_of(orphans.begin(), orphans.end(), holds);
  }
  bool out_of_time() {
    const std::lock_guard lock(mutex);
    return stop_by && Steady::now() >= *stop_by;
  }
};

// --- rows in ------------------------------------------------------------------------------------

void Writer::Parts::take() {
  QueuedRows rows = queue.take();
  const auto accepted = static_cast<int64_t>(rows.rows());
  if (rows.dropped > 0) {
    status.dropped.fetch_add(rows.dropped);
    log::warn("store.dropped").with("rows", rows.dropped);
    MissRecord miss;
    miss.at_us = clock.wall_us();
    miss.reason = "queue_full";
    miss.count = std::exchange(rows.dropped, 0);
    rows.misses.push_back(std::move(miss));
  }
  for (MissRecord& miss : rows.misses) {
    if (!miss.source.empty()) continue;
    miss.source = name;
    miss.sequence = next_miss++;
  }
  held.add(std::move(rows), accepted);
}

void Writer::Parts::show_depth() {
  const auto in_memory = static_cast<int64_t>(queue.depth()) + held.in_memory_only();
  int64_t in_spool = spool != nullptr ? spool->rows() : 0;
  for (const auto& orphan : orphans) in_spool += orphan->rows();
  status.in_memory.store(in_memory);
  status.queue_depth.store(in_memory + in_spool);
}

void Writer::Parts::count_done(int64_t rows) {
  {
    const std::lock_guard lock(mutex);
    done += rows;
  }
  changed.notify_all();
}

// --- rows out -----------------------------------------------------------------------------------

// True: the database has them, or they are safe and it is still at them.
bool Writer::Parts::commit_held() {
  job = Job::write;
  job_since = Steady::now();
  database.write(held.give(options.transaction_rows));
  auto outcome = database.outcome(job_since + options.commit_wait);
  // Without a spool there is nothing better to do than to wait.
  if (!outcome) {
    if (spool_held()) return true;
    while (!outcome && !out_of_time()) outcome = database.outcome(Steady::now() + kWatch);
    if (!outcome) return false;
  }
  handle(*outcome);
  return outcome->result.has_value();
}

void Writer::Parts::make_spool() {
  if (spool != nullptr && !spool->given_up() && spool->linked()) return;
  // Somebody removed the file: what it holds is still read, and new rows go where they survive.
  if (spool != nullptr && !spool->empty()) orphans.push_back(std::move(spool));
  auto made = Spool::take_or_make(options.spool_dir, clock.wall_us(), options.spool);
  spool = made ? std::shared_ptr<Spool>(std::move(*made)) : nullptr;
  made ? spool_worked() : spool_failed(made.error());
}

// True: all are in the spool.
bool Writer::Parts::spool_held() {
  while (const QueuedRows* rows = held.unsaved()) {
    make_spool();
    if (spool == nullptr) return false;
    if (auto appended = spool->append(*rows); !appended) {
      spool_failed(appended.error());
      return false;
    }
    spool_worked();
    const auto count = static_cast<int64_t>(rows->rows());
    status.spooled.fetch_add(count);
    log::debug("store.spooled").with("rows", count).with("file", spool->path().string());
    count_safe(held.saved_in(spool));
  }
  return true;
}

void Writer::Parts::leave_to_spool() {
  behind = true;
  behind_accepted += held.leave_to_spool();
}

void Writer::Parts::begin_replay() {
  std::vector<std::shared_ptr<Spool>> spools;
  job = Job::foreign;
  if (behind || spools_hold()) {  // nothing is held then
    job = Job::own;
    behind = true;
    spools = orphans;
    if (spool != nullptr) spools.push_back(spool);
  }
  job_since = Steady::now();
  look_at = job_since + options.look_for_spools;
  database.replay(std::move(spools));
}

void Writer::Parts::watch_job() {
  if (auto outcome = database.outcome(Steady::now())) return handle(*outcome);
  if (!database.idle() && status.healthy && Steady::now() - job_since > kSlow)
    ill(StoreState::slow, words_for(StoreState::slow));
}

void Writer::Parts::handle(const DatabaseThread::Outcome& outcome) {
  judge(outcome);
  if (std::exchange(opened, true)) return;
  const std::lock_guard lock(mutex);
  tried_to_open = true;
  changed.notify_all();
}

void Writer::Parts::judge(const DatabaseThread::Outcome& outcome) {
  const Job ended = std::exchange(job, Job::none);
  if (!outcome.notice.empty()) {
    const std::lock_guard lock(status.mutex_);
    status.notice_ = outcome.notice;
  }
  if (!outcome.result) {
    held.failed();
    if (outcome.result.error().code != Code::closed) failed(outcome.result.error());
    return;
  }
  status.rows_written.fetch_add(outcome.rows);
  if (outcome.rows > 0) status.last_commit_us.store(clock.wall_us());
  if (ended == Job::write) {
    worked();
    const int64_t unsaved_before = held.in_memory_only();
    const int64_t committed = held.committed();
    count_safe(unsaved_before - held.in_memory_only());
    count_done(committed);
  }
  std::erase_if(orphans, [](const std::shared_ptr<Spool>& one) { return one->empty(); });
  if (ended == Job::foreign) worked();
  if (ended == Job::own && !spools_hold()) {
    worked();  // whoever waits for the rows finds it well
    behind = false;
    count_done(std::exchange(behind_accepted, 0));
  }
  backoff = milliseconds(0);
  try_at = Steady::now();
}

// --- how it is ----------------------------------------------------------------------------------

void Writer::Parts::ill(StoreState state, std::string words) {
  static Counter& failures = counters::get("store.failures");
  failures.add();
  const bool was_healthy = status.healthy.exchange(false);
  const bool changed_its_mind = status.state.exchange(state) != state;
  if (was_healthy) status.ill_since_us.store(clock.wall_us());
  {
    const std::lock_guard lock(status.mutex_);
    status.last_error_ = std::move(words);
  }
  const auto now = Steady::now();
  if (!was_healthy && !changed_its_mind && now - complained_at < kRepeatComplaint) return;
  complained_at = now;
  log::warn("store.failed")
      .with("state", name_of(state))
      .with("error", status.last_error())
      .with("file", options.database.string())
      .with("waiting", status.queue_depth.load());
}

void Writer::Parts::failed(const Error& error) {
  const StoreState state = state_for(error.code);
  ill(state, describe(error) + ": " + words_for(state));
  // A damaged file was just replaced: at once again, but not for ever.
  const bool at_once = state == StoreState::damaged && backoff == milliseconds(0);
  backoff =
      backoff == milliseconds(0) ? options.retry_first : std::min(backoff * 2, options.retry_most);
  try_at = Steady::now() + (at_once ? milliseconds(0) : backoff);
}

void Writer::Parts::worked() {
  if (status.healthy.exchange(true)) return;
  status.state.store(StoreState::well);
  status.ill_since_us.store(0);
  {
    const std::lock_guard lock(status.mutex_);
    status.last_error_.clear();
  }
  log::info("store.recovered").with("rows_written", status.rows_written.load());
}

void Writer::Parts::spool_worked() {
  if (status.spool_works.exchange(true)) return;
  const std::lock_guard lock(status.mutex_);
  status.spool_error_.clear();
}

void Writer::Parts::spool_failed(const Error& error) {
  const bool did_work = status.spool_works.exchange(false);
  {
    const std::lock_guard lock(status.mutex_);
    status.spool_error_ = describe(error);
  }
  const auto now = Steady::now();
  if (!did_work && now - spool_complained_at < kRepeatComplaint) return;
  spool_complained_at = now;
  log::warn("store.spool_failed")
      .with("folder", options.spool_dir.string())
      .with(error)
      .with("next",
            "rows wait in memory and are lost if the process ends before the database is "
            "well again");
}

// --- the thread ---------------------------------------------------------------------------------

// Sleeps, unless the stop comes; then only as long as there is time.
void Writer::Parts::rest(milliseconds time) {
  std::unique_lock lock(mutex);
  auto until = Steady::now() + time;
  if (stop_by) until = std::min(until, *stop_by);
  changed.wait_until(lock, until, [] { return false; });
}

// Rows out of the queue. False: it is closed, and there is nothing left to wait for.
bool Writer::Parts::gather() {
  const bool calm = job == Job::none && held.empty() && !behind && status.healthy;
  if (job == Job::write || job == Job::foreign) {
    // It takes long. What waits in the queue has waited for it as well.
    if (auto outcome = database.outcome(Steady::now() + kGather)) handle(*outcome);
    if (queue.depth() > 0) {
      take();
    } else if (queue.closed() && out_of_time()) {
      return false;
    }
  } else if (!held.empty() || queue.wait(calm ? kIdleWait : kWatch)) {
    if (held.empty()) queue.wait_for_rows(options.batch_rows, options.batch_wait);
    take();
  } else if (queue.closed()) {
    if (calm || out_of_time()) return false;
    rest(kWatch);
    try_at = std::min(try_at, Steady::now() + options.retry_first);
  }
  return true;
}

void Writer::Parts::run() {
  while (true) {
    watch_job();
    show_depth();
    if (held.unsaved() == nullptr && !gather()) break;
    watch_job();
    show_depth();
    const auto now = Steady::now();
    const bool may_try = database.idle() && now >= try_at;
    if (!held.empty()) {
      // After trouble the spools come first, those of dead processes too: rows stay in order.
      const bool given = may_try && !behind && status.healthy && commit_held();
      if (!given && !spool_held()) {
        if (out_of_time()) break;
        rest(kWatch);
      }
      const bool elsewhere = !given && (job == Job::none || job == Job::own);
      if (elsewhere || behind || held.rows() > kMostHeld) leave_to_spool();
    }
    if (held.spooled() || !database.idle() || Steady::now() < try_at) continue;
    if (now >= look_at) make_spool();
    if (behind || !status.healthy || now >= look_at) begin_replay();
  }
  leave();
}

// What is left goes into the spool, for the next process.
void Writer::Parts::leave() {
  if (held.unsaved() == nullptr) take();
  static_cast<void>(spool_held());
  database.stop();
  watch_job();
  if (const int64_t rows = held.lose(); rows > 0) {
    static Counter& lost = counters::get("store.lost");
    lost.add(rows);
    log::error("store.lost").with("rows", rows);
  }
  if (spool != nullptr && spool->empty()) {
    spool->remove();
  } else if (spool != nullptr) {
    log::warn("store.left_in_spool").with("rows", spool->rows());
  }
  show_depth();
  orphans.clear();
  held = {};
  spool = nullptr;  // and its lock: the file is anybody's now
}

Writer::Writer(WriterOptions options, RecordQueue& queue,
               std::shared_ptr<const pricing::RateCard> rates, const Clock& clock)
    : parts_(std::make_unique<Parts>(std::move(options), queue, std::move(rates), clock)) {}

Writer::~Writer() {
  stop();
}

Result<void> Writer::begin() {
  if (auto started = parts_->database.start(); !started) return started;
  parts_->make_spool();  // and with it the reserve, while there is room
  parts_->begin_replay();
  try {
    parts_->thread = std::thread([parts = parts_.get()] {
      never_interrupt_others();
      parts->run();
    });
  } catch (const std::system_error& error) {
    return fail(Code::exhausted, "store.writer.thread", error.code().value());
  }
  return {};
}

void Writer::await_open() {
  std::unique_lock lock(parts_->mutex);
  parts_->changed.wait_for(lock, kFirstOpen, [this] { return parts_->tried_to_open; });
}

Result<void> Writer::start() {
  auto begun = begin();
  if (begun) await_open();
  return begun;
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
