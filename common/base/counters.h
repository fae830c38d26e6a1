// Named counters of one process: what was dropped, detached, tunnelled, written. status, doctor and
// /health print them all. get() may be called from any thread and takes a lock, so keep the
// reference; adding to a Counter is a relaxed atomic. A Counter lives as long as the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hm {

class Counter {
 public:
  void add(int64_t amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  void set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

namespace counters {

// Dotted, lowercase, stable: "tap.detached".
[[nodiscard]] Counter& get(std::string_view name);

[[nodiscard]] std::vector<std::pair<std::string, int64_t>> snapshot();  // sorted by name

}  // namespace counters
}  // namespace hm
