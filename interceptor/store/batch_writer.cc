#include "interceptor/store/batch_writer.h"

#include <malloc.h>
#include <sqlite3.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "interceptor/store/sqlite_error.h"

namespace hm::store {
namespace {

constexpr std::string_view kFileMagic{"SQLite format 3", 16};  // with its zero
constexpr uint64_t kLeastRoom = 256 * 1024;

bool no_room(const std::filesystem::path& folder) {
  struct statvfs info{};
  if (::statvfs(folder.c_str(), &info) != 0) return false;
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize < kLeastRoom;
}

}  // namespace

BatchWriter::BatchWriter(const WriterOptions& options, const Clock& clock)
    : options_(options), clock_(clock), checkpointer_(options.database) {}

void BatchWriter::close() {
  checkpointer_.leave();
  rows_.reset();
  db_.reset();
}

// Through SQLite's own descriptor: closing one of ours would drop the locks of this process.
bool BatchWriter::head_is_damaged() {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(db_->getHandle(), "main", SQLITE_FCNTL_FILE_POINTER,
                           static_cast<void*>(&file)) != SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr)
    return false;
  char head[kFileMagic.size()] = {};
  const int read = file->pMethods->xRead(file, head, sizeof head, 0);
  return read == SQLITE_OK && std::string_view(head, sizeof head) != kFileMagic;
}

Result<void> BatchWriter::open(const Card& card) {
  // Also when somebody removed or replaced the file below us: rows must not go into nowhere.
  if (db_ != nullptr && identity_of(options_.database) == file_) {
    if (!head_is_damaged()) return {};
    return explained({Code::malformed, "store.head"});
  }
  close();
  return open_anew(card);
}

Result<void> BatchWriter::open_anew(const Card& card) {
  auto opened = open_database(options_.database, options_.busy_timeout, clock_);
  if (!opened) return explained(opened.error());
  if (!opened->moved_to.empty())
    notice_ = "the old database was damaged or not ours; it is kept as " +
              opened->moved_to.string() + ", and a new one was begun in " +
              options_.database.string();
  db_ = std::move(opened->db);
  file_ = identity_of(options_.database);
  try {
    checkpointer_.watch(*db_);
    rows_ = std::make_unique<RowWriter>(*db_);
    noted_card_ = nullptr;
    SQLite::Transaction transaction(*db_, SQLite::TransactionBehavior::IMMEDIATE);
    note_card(card);
    transaction.commit();
  } catch (const SQLite::Exception& exception) {
    close();
    return explained(from_sqlite(exception, "store.open"));
  }
  return {};
}

void BatchWriter::note_card(const Card& card) {
  if (noted_card_ == card.get()) return;
  rows_->write_rates(*card);
  noted_card_ = card.get();
}

// What to do about it and what it really is: SQLite says "cannot open" also when the disk is full.
Result<void> BatchWriter::explained(Error error) {
  const FileIdentity seen = db_ != nullptr ? file_ : FileIdentity{};
  // A lock passes and the connection stays good; after anything else a fresh one is safer.
  if (error.code != Code::busy && error.code != Code::refused) close();
  if ((error.code == Code::permission || error.code == Code::library) &&
      no_room(options_.database.parent_path()))
    error = {Code::exhausted, error.where};
  // Another process may have moved the file aside already: what lies there now is a new one.
  if (error.code == Code::malformed && seen.inode != 0 && identity_of(options_.database) == seen) {
    const auto moved = move_aside(options_.database, "corrupt", clock_);
    if (!moved) return std::unexpected(moved.error());
    notice_ = "the database was damaged; it is kept as " + moved->string() +
              ", and a new one was begun in " + options_.database.string();
  }
  return std::unexpected(error);
}

void BatchWriter::rest() const {
  if (db_ != nullptr) sqlite3_db_release_memory(db_->getHandle());  // the cache of pages
  malloc_trim(0);
}

Result<void> BatchWriter::write(const QueuedRows& rows, const Card& card) {
  Part part{0, 0, 0, 0};
  while (true) {
    part.calls = std::min(rows.calls.size() - part.first_call, options_.transaction_rows);
    part.misses =
        std::min(rows.misses.size() - part.first_miss, options_.transaction_rows - part.calls);
    if (part.calls + part.misses == 0) return {};
    if (auto opened = open(card); !opened) return opened;
    const int64_t started_us = clock_.steady_us();
    auto written = write_part(rows, part, card, Way::together);
    if (!written && written.error().code == Code::refused)
      written = write_part(rows, part, card, Way::row_by_row);
    if (!written && written.error().code == Code::refused)
      written = write_one_by_one(rows, part, card);
    if (!written) return explained(written.error());
    // Removed in between: what was committed went with it.
    if (identity_of(options_.database) != file_) continue;
    tell(rows, part, started_us);
    part.first_call += part.calls;
    part.first_miss += part.misses;
  }
}

Result<void> BatchWriter::write_part(const QueuedRows& rows, const Part& part, const Card& card,
                                     Way way) {
  try {
    SQLite::Transaction transaction(*db_, SQLite::TransactionBehavior::IMMEDIATE);
    rows_->begin();
    note_card(card);
    if (way == Way::together)
      rows_->write_together(rows.calls, part.first_call, part.calls, *card);
    else
      for (size_t i = 0; i < part.calls; ++i) rows_->write(rows.calls[part.first_call + i], *card);
    for (size_t i = 0; i < part.misses; ++i) rows_->write(rows.misses[part.first_miss + i]);
    transaction.commit();
    return {};
  } catch (const SQLite::Exception& exception) {
    rows_->forget();
    noted_card_ = nullptr;
    return std::unexpected(from_sqlite(exception, "store.write"));
  }
}

// One row of the batch broke a rule of the schema. It must not take the others with it, nor be
// tried for ever.
Result<void> BatchWriter::write_one_by_one(const QueuedRows& rows, const Part& part,
                                           const Card& card) {
  static Counter& rejected = counters::get("store.rejected");
  for (size_t i = 0; i < part.calls + part.misses; ++i) {
    const bool is_call = i < part.calls;
    const Part one = is_call ? Part{part.first_call + i, 1, 0, 0}
                             : Part{0, 0, part.first_miss + i - part.calls, 1};
    const auto written = write_part(rows, one, card, Way::row_by_row);
    if (written) continue;
    if (written.error().code != Code::refused) return written;
    rejected.add();
    log::error("store.rejected")
        .with("id", is_call ? rows.calls[one.first_call].id : std::string("miss"))
        .with(written.error());
    if (!is_call) continue;
    const CallRecord& call = rows.calls[one.first_call];
    QueuedRows instead;
    MissRecord& miss = instead.misses.emplace_back();
    miss.source = "row-" + call.id;
    miss.at_us = call.requested_at_us;
    miss.host = call.host;
    miss.reason = "row_rejected";
    miss.bytes_up = call.bytes_up;
    miss.bytes_down = call.bytes_down;
    miss.duration_us = call.duration_us;
    miss.call_id = call.call_id;
    const auto told = write_part(instead, {0, 0, 0, 1}, card, Way::row_by_row);
    if (!told && told.error().code != Code::refused) return told;
  }
  return {};
}

void BatchWriter::tell(const QueuedRows& rows, const Part& part, int64_t started_us) const {
  if (log::level() != log::Level::debug) return;
  for (size_t i = 0; i < part.calls; ++i) {
    const CallRecord& record = rows.calls[part.first_call + i];
    log::debug("intercept.complete")
        .with("id", record.id)
        .with("provider", record.provider)
        .with("model", record.model)
        .with("project", record.attribution.project)
        .with("tokens_complete", record.tokens_complete)
        .with("duration_ms", record.duration_us / 1000);
  }
  log::debug("store.written")
      .with("rows", part.calls + part.misses)
      .with("took_us", clock_.steady_us() - started_us);
}

}  // namespace hm::store
