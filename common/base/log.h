// Structured log: one event, one JSON line. Lines go into a bounded ring (1 MiB); a thread of its
// own writes them to stderr and to a rotated file, so that a slow disk never stalls a loop. When
// the ring is full the line is dropped and counted ("log.dropped"). Any thread may log, before
// start() too (lines wait in the ring). Never pass headers, bodies, keys or URLs with queries.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace hm::log {

enum class Level : uint8_t { debug, info, warn, error };

struct Options {
  std::filesystem::path file;  // empty: no file
  bool to_stderr = true;
  uint64_t max_file_bytes = 10 * 1024 * 1024;
  int keep_files = 3;  // file, file.1, file.2
};

void start(const Options& options);
void stop();  // writes what is in the ring, joins the thread; logging afterwards is lost

void set_max_file_bytes(uint64_t bytes);  // after start(); from the next line on
void set_level(Level level);
[[nodiscard]] Level level();
[[nodiscard]] bool parse_level(std::string_view text, Level& out);

// Built in place, written when it dies:  log::info("edge.call.routed").with("host", host);
class Event {
 public:
  Event(Level level, std::string_view name);  // name: dotted, lowercase, stable
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  Event& with(std::string_view key, std::string_view value);
  Event& with(std::string_view key, const char* value) {
    return with(key, std::string_view(value));
  }
  Event& with(std::string_view key, const std::string& value) {
    return with(key, std::string_view(value));
  }
  Event& with(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }
  template <std::integral T>
  Event& with(std::string_view key, T value) {
    return raw(key, std::to_string(value));
  }
  Event& with(const Error& error);  // fields "error" and, when there is one, "errno"

 private:
  Event& raw(std::string_view key, std::string_view json);

  bool enabled_;
  std::string line_;
};

inline Event debug(std::string_view name) {
  return {Level::debug, name};
}
inline Event info(std::string_view name) {
  return {Level::info, name};
}
inline Event warn(std::string_view name) {
  return {Level::warn, name};
}
inline Event error(std::string_view name) {
  return {Level::error, name};
}

}  // namespace hm::log
