#include "common/base/counters.h"

#include <functional>
#include <map>
#include <mutex>

namespace hm::counters {
namespace {

struct Table {
  std::mutex mutex;
  std::map<std::string, Counter, std::less<>> counters;
};

// Never destroyed: counters are touched by threads that outlive static destruction.
Table& table() {
  static Table* const the_table = new Table;
  return *the_table;
}

}  // namespace

Counter& get(std::string_view name) {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  const auto found = all.counters.find(name);
  if (found != all.counters.end()) return found->second;
  return all.counters.try_emplace(std::string(name)).first->second;
}

std::vector<std::pair<std::string, int64_t>> snapshot() {
  Table& all = table();
  const std::lock_guard lock(all.mutex);
  std::vector<std::pair<std::string, int64_t>> result;
  result.reserve(all.counters.size());
  for (const auto& [name, counter] : all.counters) result.emplace_back(name, counter.value());
  return result;
}

}  // namespace hm::counters
