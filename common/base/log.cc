#include "common/base/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>

#include "common/base/background.h"
#include "common/base/clock.h"
#include "common/base/counters.h"
#include "common/base/utf8.h"

namespace hm::log {
namespace {

constexpr size_t kRingBytes = 1024 * 1024;
constexpr size_t kMaxLine = 8 * 1024;
constexpr size_t kMostAtOnce = 32 * 1024;
// How long a line below a warning may wait for others: one wake-up and one write for all that a
// call says of itself.
constexpr auto kGather = std::chrono::milliseconds(20);

void append_json_text(std::string& out, std::string_view text) {
  out += '"';
  // Some names come from outside, and a value that was clipped may end inside a character.
  std::string cleaned;
  if (!is_clean_text(text)) text = cleaned = clean_text(text);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote <= 0) return;  // a full disk or a closed stderr: there is nobody left to tell
    text.remove_prefix(static_cast<size_t>(wrote));
  }
}

// Warnings and errors. The level stands behind the time, which has always the same length.
bool is_urgent(std::string_view line) {
  constexpr size_t kLevelAt = sizeof(R"({"at":"2026-11-15T09:30:00.123456Z","level":")") - 1;
  return line.size() > kLevelAt && (line[kLevelAt] == 'w' || line[kLevelAt] == 'e');
}

class RotatedFile {
 public:
  void open(const Options& options) {
    options_ = options;
    if (options_.file.empty()) return;
    fd_ = ::open(options_.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }

  void write(std::string_view text, uint64_t most) {
    if (fd_ < 0) return;
    // Asked each time: a second process of the same home writes to this file as well.
    struct stat mine{};
    if (::fstat(fd_, &mine) == 0) {
      if (mine.st_nlink == 0) {
        open_again();  // somebody has deleted it
      } else if (static_cast<uint64_t>(mine.st_size) + text.size() > most) {
        if (still_named(mine)) rotate();
        open_again();
      }
    }
    write_all(fd_, text);
  }

  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  void open_again() {
    close();
    open(options_);
  }

  // False: the other process has rotated it already, and we still hold what is now file.1.
  [[nodiscard]] bool still_named(const struct stat& mine) const {
    struct stat now{};
    return ::stat(options_.file.c_str(), &now) == 0 && now.st_ino == mine.st_ino &&
           now.st_dev == mine.st_dev;
  }

  void rotate() {
    const std::string name = options_.file.string();
    for (int i = options_.keep_files - 1; i >= 1; --i) {
      const std::string from = i == 1 ? name : fmt::format("{}.{}", name, i - 1);
      std::rename(from.c_str(), fmt::format("{}.{}", name, i).c_str());
    }
  }

  Options options_;
  int fd_ = -1;
};

class Logger {
 public:
  void start(const Options& options) {
    const std::lock_guard lock(mutex_);
    if (thread_.joinable()) return;
    stopping_ = false;
    options_ = options;
    max_file_bytes.store(options.max_file_bytes, std::memory_order_relaxed);
    thread_ = std::thread([this] { run(); });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      if (!thread_.joinable()) return;
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
    thread_ = std::thread();
  }

  void push(std::string&& line, bool urgent) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      if (ring_bytes_ + line.size() > kRingBytes) {
        dropped_.add();
        return;
      }
      first = ring_.empty();
      ring_bytes_ += line.size();
      urgent = urgent || ring_bytes_ > kRingBytes / 2;
      urgent_ = urgent_ || urgent;
      ring_.push_back(std::move(line));
    }
    if (first || urgent) wake_.notify_one();
  }

  std::atomic<Level> level{Level::info};
  std::atomic<uint64_t> max_file_bytes{0};

 private:
  void run() {
    never_interrupt_others();
    RotatedFile file;
    file.open(options_);
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !ring_.empty(); });
      if (ring_.empty()) break;
      wake_.wait_for(lock, kGather, [this] { return stopping_ || urgent_; });
      std::deque<std::string> batch;
      batch.swap(ring_);
      ring_bytes_ = 0;
      urgent_ = false;
      lock.unlock();
      write_batch(batch, file, max_file_bytes.load(std::memory_order_relaxed));
      lock.lock();
    }
    file.close();
  }

  // Many lines with one write, but never so many that a file grows far beyond its size.
  void write_batch(const std::deque<std::string>& batch, RotatedFile& file,
                   uint64_t max_bytes) const {
    const size_t most = std::min<size_t>(kMostAtOnce, max_bytes / 8);
    std::string text;
    const auto flush = [&] {
      if (text.empty()) return;
      if (options_.to_stderr) write_all(STDERR_FILENO, text);
      file.write(text, max_bytes);
      text.clear();
    };
    for (const std::string& line : batch) {
      if (text.size() + line.size() > most) flush();
      text += line;
    }
    flush();
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> ring_;
  size_t ring_bytes_ = 0;
  bool stopping_ = false;
  bool urgent_ = false;  // somebody wants to be read now
  Options options_;
  std::thread thread_;
  Counter& dropped_ = counters::get("log.dropped");
};

// Never destroyed: a thread may still log while statics are being torn down.
Logger& logger() {
  static Logger* const the_logger = new Logger;
  return *the_logger;
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "info";
}

}  // namespace

void start(const Options& options) {
  logger().start(options);
}
void stop() {
  logger().stop();
}
void set_max_file_bytes(uint64_t bytes) {
  logger().max_file_bytes.store(bytes, std::memory_order_relaxed);
}
void set_level(Level level) {
  logger().level.store(level, std::memory_order_relaxed);
}
Level level() {
  return logger().level.load(std::memory_order_relaxed);
}

bool parse_level(std::string_view text, Level& out) {
  for (const Level candidate : {Level::debug, Level::info, Level::warn, Level::error}) {
    if (text == level_name(candidate)) {
      out = candidate;
      return true;
    }
  }
  return false;
}

Event::Event(Level event_level, std::string_view name) : enabled_(event_level >= log::level()) {
  if (!enabled_) return;
  line_ = fmt::format(R"({{"at":"{}","level":"{}","event":)", iso8601_utc(system_clock().wall_us()),
                      level_name(event_level));
  append_json_text(line_, name);
}

Event::~Event() {
  if (!enabled_) return;
  line_ += "}\n";
  const bool urgent = is_urgent(line_);
  logger().push(std::move(line_), urgent);
}

Event& Event::with(std::string_view key, std::string_view value) {
  if (!enabled_ || line_.size() > kMaxLine) return *this;
  line_ += ',';
  append_json_text(line_, key);
  line_ += ':';
  append_json_text(line_, value.substr(0, 1024));
  return *this;
}

Event& Event::with(const Error& error) {
  with("error", name_of(error.code)).with("where", error.where);
  if (error.detail != 0) with("detail", error.detail);
  return *this;
}

Event& Event::raw(std::string_view key, std::string_view json) {
  if (!enabled_ || line_.size() > kMaxLine) return *this;
  line_ += ',';
  append_json_text(line_, key);
  line_ += ':';
  line_ += json;
  return *this;
}

}  // namespace hm::log
