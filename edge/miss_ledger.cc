#include "edge/miss_ledger.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "common/base/clock.h"
#include "common/base/random_id.h"

namespace hm::edge {
namespace {

constexpr int64_t kHourUs = 3600LL * 1'000'000;

}  // namespace

MissLedger::MissLedger() : origin_(random_number()) {
  for (size_t slot = kMaxEntries; slot > 0; --slot) free_.push_back(slot - 1);
}

Result<void> MissLedger::keep_in(const wire::LedgerFolders& folders, int64_t now_us) {
  auto file = wire::MissFile::take_or_make(folders);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  free_.clear();
  for (size_t slot = kMaxEntries; slot-- > 0;)
    if (file_[slot].state == wire::MissSlot::free) free_.push_back(slot);
  for (const size_t slot : file_.recover(now_us)) {
    enter(slot);
    if (file_[slot].offered != 0) offered_ = next_sequence_ - 1;
  }
  file_.release_pages();
  return {};
}

void MissLedger::enter(size_t slot) {
  calls_ += file_[slot].miss().count;
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

size_t MissLedger::fill_slot(const Miss& miss, wire::MissSlot::State state) {
  const size_t slot = free_slot();
  Miss named = miss;
  named.origin = origin_;
  named.number = next_number_++;
  file_.change(slot).fill(named, state);
  return slot;
}

MissLedger::Entry MissLedger::begin(const Miss& miss) {
  if (open_ >= kMaxOpen) return kNone;
  ++open_;
  return fill_slot(miss, wire::MissSlot::open);
}

void MissLedger::complete(Entry entry, const Miss& miss) {
  if (entry == kNone) return enter(fill_slot(miss, wire::MissSlot::done));
  file_.change(entry).set_numbers(miss);
  file_.change(entry).set_state(wire::MissSlot::done);
  --open_;
  enter(entry);
}

void MissLedger::compact(int64_t span_us, bool any_host) {
  std::map<std::tuple<std::string, std::string, int64_t>, size_t> sums;
  for (auto it = done_.upper_bound(offered_); it != done_.end();) {
    const Miss miss = file_[it->second].miss();
    const auto key =
        std::tuple(any_host ? std::string() : miss.host, miss.reason, miss.at_us / span_us);
    const auto [sum, first] = sums.emplace(key, it->second);
    if (first) {
      ++it;
      continue;
    }
    file_.merge(sum->second, it->second);
    free_.push_back(it->second);
    it = done_.erase(it);
  }
}

std::vector<Miss> MissLedger::offer(size_t most) {
  std::vector<Miss> list;
  for (const auto& [sequence, slot] : done_) {
    if (list.size() == std::min(most, kMaxOffered)) break;
    // Its page was lost (somebody cut the file): which call it was is not known, that it was is.
    if (!file_[slot].whole()) file_.change(slot).count_as_damaged(system_clock().wall_us());
    file_.change(slot).offered = 1;
    offered_ = std::max(offered_, sequence);
    list.push_back(file_[slot].miss());
    list.back().sequence = sequence;
  }
  return list;
}

void MissLedger::acknowledge(int64_t up_to_sequence) {
  const auto end = done_.upper_bound(std::min(up_to_sequence, offered_));
  for (auto it = done_.begin(); it != end; ++it) {
    calls_ -= file_[it->second].miss().count;
    file_.change(it->second).set_state(wire::MissSlot::free);
    free_.push_back(it->second);
  }
  done_.erase(done_.begin(), end);
}

}  // namespace hm::edge
