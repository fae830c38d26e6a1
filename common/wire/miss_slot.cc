#include "common/wire/miss_slot.h"

#include <string.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "common/base/fnv.h"
#include "common/base/random_id.h"

namespace hm::wire {
namespace {

constexpr int64_t kMost = int64_t{1} << 50;      // more is no count
constexpr int64_t kMostTime = int64_t{1} << 52;  // nor a time: the year 2112

uint32_t checksum(const MissSlot& slot) {
  const auto* begin = reinterpret_cast<const char*>(&slot.origin);
  const auto* end = reinterpret_cast<const char*>(&slot.count);
  return fnv1a_32({begin, end});
}

template <size_t size>
void put(char (&to)[size], std::string_view text) {
  const size_t length = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), length);
  std::memset(to + length, 0, size - length);
}

template <size_t size>
std::string get(const char (&from)[size]) {
  return {from, ::strnlen(from, size)};
}

int64_t sane(int64_t value, int64_t least, int64_t most = kMost) {
  return std::clamp(value, least, most);
}

}  // namespace

static_assert(std::is_trivially_copyable_v<LedgerLayout>);

void MissSlot::fill(const Miss& miss, State as) {
  set_state(free);
  origin = miss.origin;
  number = miss.number;
  at_us = miss.at_us;
  client_port = miss.client_port;
  put(host, miss.host);
  put(reason, miss.reason);
  put(call_id, miss.call_id);
  check = checksum(*this);
  offered = 0;
  cut = 0;
  set_numbers(miss);
  set_state(as);
}

void MissSlot::set_numbers(const Miss& miss) {
  count = miss.count;
  bytes_up = miss.bytes_up;
  bytes_down = miss.bytes_down;
  duration_us = miss.duration_us;
}

Miss MissSlot::miss() const {
  Miss miss;
  miss.origin = origin;
  miss.number = number;
  miss.at_us = sane(at_us, 0, kMostTime);
  miss.client_port = sane(client_port, 0);
  miss.host = get(host);
  miss.reason = get(reason);
  miss.call_id = get(call_id);
  miss.count = sane(count, 1);
  miss.bytes_up = sane(bytes_up, 0);
  miss.bytes_down = sane(bytes_down, 0);
  miss.duration_us = sane(duration_us, 0);
  if (miss.count > 1) {  // a sum is nobody's in particular
    miss.client_port = 0;
    miss.call_id.clear();
  }
  if (cut != 0) miss.detail = std::exchange(miss.reason, "edge_lost");
  return miss;
}

std::string MissSlot::call() const {
  return get(call_id);
}

bool MissSlot::whole() const {
  return check == checksum(*this) && host[sizeof host - 1] == 0 && reason[sizeof reason - 1] == 0 &&
         call_id[sizeof call_id - 1] == 0;
}

bool MissSlot::recover(int64_t now_us) {
  if (state == free) return false;
  const bool known = state == open || state == done;
  if (!known || !whole()) {
    count_as_damaged(now_us);
    return true;
  }
  if (state != open) return false;
  cut = 1;
  set_state(done);
  return true;
}

void MissSlot::count_as_damaged(int64_t now_us) {
  Miss lost;
  lost.origin = random_number();
  lost.number = 1;
  lost.at_us = now_us;
  lost.host = "unknown";
  lost.reason = "ledger_damaged";
  fill(lost, done);
}

void LedgerLayout::merge(size_t into_slot, size_t from_slot, const Miss& sum) {
  into = static_cast<uint32_t>(into_slot);
  from = static_cast<uint32_t>(from_slot);
  count = sum.count;
  bytes_up = sum.bytes_up;
  bytes_down = sum.bytes_down;
  duration_us = sum.duration_us;
  std::atomic_ref(merges).fetch_add(1, std::memory_order_release);
  std::atomic_ref(merging).store(1, std::memory_order_release);
  apply_merge();
}

bool LedgerLayout::apply_merge() {
  if (std::atomic_ref(merging).load(std::memory_order_acquire) != 1) return false;
  if (into < kSlots && from < kSlots && into != from) {
    Miss sum;
    sum.count = count;
    sum.bytes_up = bytes_up;
    sum.bytes_down = bytes_down;
    sum.duration_us = duration_us;
    slots[into].set_numbers(sum);
    slots[from].set_state(MissSlot::free);
  }
  std::atomic_ref(merging).store(0, std::memory_order_release);
  return true;
}

}  // namespace hm::wire
