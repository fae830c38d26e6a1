#include "interceptor/relay/flight_log.h"

#include "common/base/random_id.h"

namespace hm::relay {

FlightLog::FlightLog(StoreProgress progress)
    : progress_(std::move(progress)), origin_(random_number()) {
  for (size_t slot = wire::MissFile::kSlots; slot > 0; --slot) free_.push_back(slot - 1);
}

Result<void> FlightLog::keep_in(const wire::LedgerFolders& folders) {
  auto file = wire::MissFile::make(folders, wire::MissFile::Kind::daemon);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  return {};
}

FlightLog::Entry FlightLog::begin(const std::string& host, const std::string& call_id, int64_t port,
                                  int64_t at_us) {
  sweep();
  if (free_.empty()) return kNone;
  const Entry entry = free_.back();
  free_.pop_back();
  wire::Miss miss;
  miss.origin = origin_;
  miss.number = next_number_++;
  miss.at_us = at_us;
  miss.host = host;
  miss.reason = "interceptor_lost";
  miss.count = 0;
  miss.client_port = port;
  miss.call_id = call_id;
  file_.change(entry).fill(miss, wire::MissSlot::open);
  ++used_;
  return entry;
}

void FlightLog::note(Entry entry, int64_t calls) {
  if (entry == kNone) return;
  // Asked for every piece of a body; the page is written to only when there is something new.
  if (file_[entry].count != calls) file_.change(entry).count = calls;
}

void FlightLog::end(Entry entry) {
  if (entry == kNone) return;
  ending_.emplace_back(progress_.pushed(), entry);
  sweep();
}

void FlightLog::sweep() {
  if (ending_.empty()) return;
  const int64_t safe = progress_.safe();
  while (!ending_.empty() && ending_.front().first <= safe) {
    file_.change(ending_.front().second).set_state(wire::MissSlot::free);
    free_.push_back(ending_.front().second);
    ending_.pop_front();
    --used_;
  }
}

bool FlightLog::needed() {
  sweep();
  return used_ > 0;
}

}  // namespace hm::relay
