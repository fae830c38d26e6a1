#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "interceptor/store/queries.h"
#include "interceptor/store/writer.h"
#include "tests/support/temp_folder.h"

namespace hm::store {

using std::chrono::milliseconds;
inline constexpr milliseconds kLong{20'000};
inline constexpr int64_t kNoon = 1'794'744'000'000'000;  // 2026-11-15T12:00:00Z

using hm::test::TempFolder;

inline std::shared_ptr<const pricing::RateCard> bundled() {
  return {&pricing::RateCard::bundled(), [](const pricing::RateCard*) {}};
}

inline std::string unique_id() {
  static std::atomic<int> next{0};
  return "row-" + std::to_string(++next);
}

// 1000 in, 100 out: 3,000,000,000 pico-USD.
inline CallRecord sample_call(int64_t at_us = kNoon) {
  CallRecord r;
  r.id = unique_id();
  r.call_id = "call-1";
  r.provider = r.rate_namespace = "anthropic";
  r.host = "api.anthropic.com";
  r.model = r.requested_model = "claude-sonnet-5";
  r.endpoint = "messages";
  r.usage.input_tokens = 1000;
  r.usage.output_tokens = 100;
  r.tokens_complete = true;
  r.http_status = 200;
  r.requested_at_us = at_us;
  r.duration_us = 250'000;
  r.bytes_up = 500;
  r.bytes_down = 2000;
  return r;
}

inline MissRecord sample_miss(const std::string& reason = "gate_closed", int64_t count = 1) {
  MissRecord m;
  m.at_us = kNoon;
  m.host = "api.openai.com";
  m.reason = reason;
  m.count = count;
  return m;
}

// Holds the database as another program would, until it is destroyed.
class Lock {
 public:
  explicit Lock(const std::filesystem::path& database)
      : db_(database.string(), SQLite::OPEN_READWRITE, 5000),
        transaction_(db_, SQLite::TransactionBehavior::EXCLUSIVE) {}

 private:
  SQLite::Database db_;
  SQLite::Transaction transaction_;
};

inline bool eventually(const std::function<bool()>& good, milliseconds within = kLong) {
  const auto until = std::chrono::steady_clock::now() + within;
  while (!good()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

// A queue and its writer on a database in a folder of their own.
struct Bench {
  explicit Bench(QueueLimits limits = {}) : queue(limits) {
    options.database = folder / "db.sqlite";
    options.spool_dir = folder / "spool";
    options.busy_timeout = milliseconds(20);
    options.retry_first = milliseconds(20);
    options.retry_most = milliseconds(100);
  }
  void start() {
    writer = std::make_unique<Writer>(options, queue, bundled(), system_clock());
    REQUIRE(writer->start());
  }
  Queries queries() {
    auto opened = Queries::open(options.database);
    if (!opened) UNSCOPED_INFO(describe(opened.error()));
    REQUIRE(opened);
    return std::move(*opened);
  }
  std::vector<std::filesystem::path> spool_files() const {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(options.spool_dir, error))
      if (entry.path().extension() == ".spool") files.push_back(entry.path());
    return files;
  }
  int64_t number(const std::string& sql) {
    SQLite::Database db(options.database.string(), SQLite::OPEN_READONLY, 1000);
    return db.execAndGet(sql).getInt64();
  }
  std::string text(const std::string& sql) {
    SQLite::Database db(options.database.string(), SQLite::OPEN_READONLY, 1000);
    return db.execAndGet(sql).getString();
  }

  TempFolder folder;
  WriterOptions options;
  RecordQueue queue;
  std::unique_ptr<Writer> writer;
};

}  // namespace hm::store
