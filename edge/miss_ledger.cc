#include "edge/miss_ledger.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "common/base/random_id.h"

namespace hm::edge {
namespace {

constexpr int64_t kHourUs = 3600LL * 1'000'000;

}  // namespace

MissLedger::MissLedger() : origin_(random_number()) {
  for (size_t slot = kMaxEntries; slot > 0; --slot) free_.push_back(slot - 1);
}

Result<void> MissLedger::keep_in(const Folders& folders, int64_t now_us) {
  auto file = wire::MissFile::take_or_make(folders);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  file_.recover(now_us);
  free_.clear();
  std::vector<size_t> found;
  for (size_t slot = kMaxEntries; slot-- > 0;)
    (file_.slots()[slot].state == wire::MissSlot::free ? free_ : found).push_back(slot);
  // What was offered before comes first and keeps its name.
  std::sort(found.begin(), found.end(), [this](size_t a, size_t b) {
    const auto key = [this](size_t slot) {
      const wire::MissSlot& one = file_.slots()[slot];
      return std::tuple(one.offered == 0, one.at_us, one.number);
    };
    return key(a) < key(b);
  });
  for (const size_t slot : found) {
    enter(slot);
    if (file_.slots()[slot].offered != 0) offered_ = next_sequence_ - 1;
  }
  file_.release_pages();
  return {};
}

void MissLedger::enter(size_t slot) {
  calls_ += file_.slots()[slot].miss().count;
  done_.emplace(next_sequence_++, slot);
}

size_t MissLedger::free_slot() {
  // Months without an interceptor: coarser again rather than larger.
  for (const int64_t span : {kHourUs, 24 * kHourUs, INT64_MAX}) {
    if (free_.empty()) compact(span, false);
  }
  if (free_.empty()) compact(INT64_MAX, true);  // thousands of hosts: one of them stands for all
  const size_t slot = free_.back();
  free_.pop_back();
  return slot;
}

MissLedger::Entry MissLedger::begin(const Miss& miss) {
  if (open_ >= kMaxOpen) return kNone;
  const size_t slot = free_slot();
  Miss named = miss;
  named.origin = origin_;
  named.number = next_number_++;
  file_.slots()[slot].fill(named, wire::MissSlot::open);
  ++open_;
  return slot;
}

void MissLedger::complete(Entry entry, const Miss& miss) {
  if (entry == kNone) {
    const size_t slot = free_slot();
    Miss named = miss;
    named.origin = origin_;
    named.number = next_number_++;
    file_.slots()[slot].fill(named, wire::MissSlot::done);
    return enter(slot);
  }
  file_.slots()[entry].set_numbers(miss);
  file_.slots()[entry].set_state(wire::MissSlot::done);
  --open_;
  enter(entry);
}

void MissLedger::compact(int64_t span_us, bool any_host) {
  std::map<std::tuple<std::string, std::string, int64_t>, size_t> sums;
  for (auto it = done_.upper_bound(offered_); it != done_.end();) {
    const Miss miss = file_.slots()[it->second].miss();
    const auto key =
        std::tuple(any_host ? std::string() : miss.host, miss.reason, miss.at_us / span_us);
    const auto [sum, first] = sums.emplace(key, it->second);
    if (first) {
      ++it;
      continue;
    }
    Miss whole = file_.slots()[sum->second].miss();
    whole.count += miss.count;
    whole.bytes_up += miss.bytes_up;
    whole.bytes_down += miss.bytes_down;
    whole.duration_us += miss.duration_us;
    file_.merge(sum->second, it->second, whole);
    free_.push_back(it->second);
    it = done_.erase(it);
  }
}

std::vector<Miss> MissLedger::offer(size_t most) {
  std::vector<Miss> list;
  for (const auto& [sequence, slot] : done_) {
    if (list.size() == std::min(most, kMaxOffered)) break;
    file_.slots()[slot].offered = 1;
    offered_ = std::max(offered_, sequence);
    list.push_back(file_.slots()[slot].miss());
    list.back().sequence = sequence;
  }
  return list;
}

void MissLedger::acknowledge(int64_t up_to_sequence) {
  const auto end = done_.upper_bound(std::min(up_to_sequence, offered_));
  for (auto it = done_.begin(); it != end; ++it) {
    calls_ -= file_.slots()[it->second].miss().count;
    file_.slots()[it->second].set_state(wire::MissSlot::free);
    free_.push_back(it->second);
  }
  done_.erase(done_.begin(), end);
}

void MissLedger::close() {
  if (done_.empty() && open_ == 0) file_.remove();
}

}  // namespace hm::edge
