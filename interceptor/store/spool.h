// Rows that the database does not take now, in a file until it does. What append() has accepted
// survives the process, kill -9 included. One file per process, "rows-TIME-PID.spool", locked
// (flock) while its process lives; whoever gets the lock has found the file of a dead one.
//
// Its first 8 MiB are reserved when it is made, so that a full disk cannot take them; it grows to
// 256 MiB at most. Each row has a length and a checksum. How far the rows are in the database is
// noted in the head; a crash in between makes rows come twice, which their ids tell.
//
// append() in one thread, everything else in one other, or at another time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "interceptor/store/record_queue.h"

namespace hm::store {

struct SpoolLimits {
  int64_t reserved = int64_t{8} * 1024 * 1024;
  int64_t most = int64_t{256} * 1024 * 1024;
};

class Spool {
 public:
  // The file of a dead process, to go on behind its rows (on a full disk its reserve is all there
  // is), else a new one; without the reserve when there is no room. The folder is made when it is
  // missing.
  [[nodiscard]] static Result<std::unique_ptr<Spool>> take_or_make(
      const std::filesystem::path& folder, int64_t wall_us, SpoolLimits limits);
  // The files of dead processes, oldest first, to be emptied. What is no spool file is renamed
  // *.bad.
  [[nodiscard]] static std::vector<std::unique_ptr<Spool>> take_dead(
      const std::filesystem::path& folder);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // All of them or none.
  [[nodiscard]] Result<void> append(const QueuedRows& rows);

  struct Chunk {
    QueuedRows rows;
    int64_t end = 0;
    bool damaged = false;  // no rows, but what is there is torn or is not ours
  };
  // The oldest rows, `most` at most; none: the end.
  [[nodiscard]] Result<Chunk> read(size_t most);
  void advance(const Chunk& chunk);  // they are in the database
  // The same of rows that the caller has kept as well: the oldest ones, up to there.
  void advance(int64_t end, size_t rows);
  [[nodiscard]] int64_t end() const;  // behind the last row

  [[nodiscard]] bool empty() const;
  [[nodiscard]] int64_t rows() const;  // of our own file
  [[nodiscard]] bool linked() const;   // still has a name
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  void remove();
  // Damaged: it becomes *.bad and takes no more rows.
  void give_up();
  [[nodiscard]] bool given_up() const;

 private:
  Spool(std::filesystem::path path, int fd, SpoolLimits limits);
  static Result<std::unique_ptr<Spool>> make(const std::filesystem::path& folder, int64_t wall_us,
                                             SpoolLimits limits);
  static std::unique_ptr<Spool> take(const std::filesystem::path& path);
  [[nodiscard]] bool go_on(SpoolLimits limits);
  [[nodiscard]] Result<Chunk> read_from(int64_t from, int64_t to, uint64_t generation,
                                        size_t most) const;
  Result<void> write_head();
  void begin_anew();

  const std::filesystem::path path_;
  const int fd_;
  SpoolLimits limits_;
  mutable std::mutex mutex_;  // guards what follows
  uint64_t generation_ = 1;   // part of every checksum: rows of an earlier one are no rows
  int64_t read_at_ = 0;
  int64_t write_at_ = 0;  // of a dead process' file: its size
  int64_t rows_ = 0;
  bool ours_ = true;
  bool has_head_ = true;
  // The disk did not take the head of this generation: nobody would find rows behind the old one.
  bool head_is_old_ = false;
  bool given_up_ = false;
};

}  // namespace hm::store
