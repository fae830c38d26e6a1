// Puts what the -wal file holds into the database while the next rows are being written. Waiting
// for the disk takes a tenth of a busy writer's time and more; a thread and a connection of its own
// wait instead. The -wal can begin anew only when nobody has added to it meanwhile: once it is
// long, the writing thread does what little that thread has left. Inside this folder only.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

struct sqlite3;

namespace hm::store {

struct CheckpointLimits {
  int pages = 4000;      // so many more, and a checkpoint is due
  int long_wal = 8000;   // then the writing thread does the rest after it,
  int longest = 16'000;  // and here without waiting for it
};

class Checkpointer {
 public:
  explicit Checkpointer(std::filesystem::path database, CheckpointLimits limits = {});
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // From now on commits of this connection are followed. Its thread is the one that calls.
  void watch(SQLite::Database& db);
  // Before that connection is closed or its file goes elsewhere: waits until nothing is under way.
  void leave();

 private:
  void grown(sqlite3* db, int pages);
  bool give(int pages);
  void run();
  void checkpoint() const;

  const std::filesystem::path database_;
  const CheckpointLimits limits_;
  int given_at_ = 0;  // pages; the writing thread's, as are the next two
  int last_pages_ = 0;
  std::thread thread_;  // begun when it is first needed
  std::mutex mutex_;    // guards what follows
  std::condition_variable changed_;
  bool due_ = false;  // or under way
  bool stopping_ = false;
};

}  // namespace hm::store
