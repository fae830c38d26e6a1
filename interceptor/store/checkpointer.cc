#include "interceptor/store/checkpointer.h"

#include <sqlite3.h>

#include <system_error>
#include <utility>

#include "common/base/background.h"
#include "interceptor/store/sqlite_setup.h"

namespace hm::store {

Checkpointer::Checkpointer(std::filesystem::path database, CheckpointLimits limits)
    : database_(std::move(database)), limits_(limits) {}

Checkpointer::~Checkpointer() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Checkpointer::watch(SQLite::Database& db) {
  given_at_ = last_pages_ = 0;
  sqlite3_wal_hook(
      db.getHandle(),
      [](void* self, sqlite3* connection, const char*, int pages) {
        static_cast<Checkpointer*>(self)->grown(connection, pages);
        return SQLITE_OK;  // the commit is good, whatever comes of this
      },
      this);
}

void Checkpointer::leave() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !due_; });
}

// After a commit: so long is the -wal now.
void Checkpointer::grown(sqlite3* db, int pages) {
  if (pages < std::exchange(last_pages_, pages)) given_at_ = 0;  // it began anew
  const bool due = pages - given_at_ >= limits_.pages;
  if (pages < limits_.long_wal && !due) return;
  if (pages < limits_.longest && due && give(pages)) return;
  // While the thread is still at it this does nothing, and the next commit comes here again.
  sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
}

// False: there is no thread to be had.
bool Checkpointer::give(int pages) {
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] {
        never_interrupt_others();
        run();
      });
    } catch (const std::system_error&) {
      return false;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    if (due_) return true;  // it is still at the last one
    due_ = true;
  }
  given_at_ = pages;
  changed_.notify_all();
  return true;
}

void Checkpointer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return due_ || stopping_; });
    if (stopping_) return;
    lock.unlock();
    checkpoint();
    lock.lock();
    due_ = false;
    changed_.notify_all();
  }
}

// What goes wrong is tried again by the writing thread, when the -wal has become long.
void Checkpointer::checkpoint() const {
  try {
    set_up_sqlite();
    SQLite::Database db(database_.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_NOMUTEX);
    db.execAndGet("PRAGMA user_version");  // until it has read, it knows of no -wal
    sqlite3_wal_checkpoint_v2(db.getHandle(), "main", SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  } catch (const SQLite::Exception&) {
    return;
  }
}

}  // namespace hm::store
