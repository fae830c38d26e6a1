#include "interceptor/store/record_queue.h"

#include <utility>

#include "common/base/counters.h"

namespace hm::store {
namespace {

size_t size_of(const std::string& text) {
  return text.capacity() > 15 ? text.capacity() : 0;
}

// An estimate: what the heap holds for it, without allocator overhead.
size_t size_of(const CallRecord& r) {
  size_t bytes = sizeof r;
  for (const std::string* text : {&r.id,
                                  &r.call_id,
                                  &r.provider,
                                  &r.rate_namespace,
                                  &r.host,
                                  &r.model,
                                  &r.requested_model,
                                  &r.endpoint,
                                  &r.mode,
                                  &r.request_kind,
                                  &r.transport,
                                  &r.billing,
                                  &r.incomplete_reason,
                                  &r.service_tier,
                                  &r.geo,
                                  &r.stop_reason,
                                  &r.cache_lifetime,
                                  &r.bucket_doubt,
                                  &r.error_class,
                                  &r.error_kind,
                                  &r.provider_error_code,
                                  &r.provider_request_id,
                                  &r.response_id,
                                  &r.session_id,
                                  &r.key_print,
                                  &r.attribution.project,
                                  &r.attribution.tier,
                                  &r.attribution.client_name,
                                  &r.attribution.client_version,
                                  &r.attribution.cwd,
                                  &r.attribution.git_branch,
                                  &r.attribution.run_id})
    bytes += size_of(*text);
  for (const auto& header : r.rate_limits)
    bytes += sizeof header + size_of(header.name) + size_of(header.value);
  bytes += r.iterations.size() * sizeof(Usage);
  for (const auto& calls : r.tool_calls) bytes += sizeof calls + size_of(calls.name);
  for (const auto& part : r.usage.parts) bytes += sizeof part + size_of(part.bucket);
  for (const auto& extra : r.extra_usage) {
    bytes += sizeof extra + size_of(extra.kind) + size_of(extra.model);
    for (const auto& part : extra.usage.parts) bytes += sizeof part + size_of(part.bucket);
  }
  return bytes;
}

size_t size_of(const MissRecord& r) {
  return sizeof r + size_of(r.host) + size_of(r.reason) + size_of(r.call_id) + size_of(r.detail) +
         size_of(r.source);
}

// Its ledger keeps it until the store has it, so it is not lost when there is no room.
bool is_named(const MissRecord& r) {
  return !r.source.empty();
}

bool is_named(const CallRecord&) {
  return false;
}

}  // namespace

RecordQueue::RecordQueue(QueueLimits limits) : limits_(limits) {}

bool RecordQueue::push(CallRecord&& record) noexcept {
  return push_to(rows_.calls, std::move(record));
}

bool RecordQueue::push(MissRecord&& record) noexcept {
  return push_to(rows_.misses, std::move(record));
}

template <class Record>
bool RecordQueue::push_to(std::deque<Record>& list, Record&& record) noexcept {
  static Counter& dropped = counters::get("store.dropped");
  const size_t bytes = size_of(record);
  const bool comes_again = is_named(record);
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    bool kept = false;
    if (rows_.rows() < limits_.rows && bytes_ + bytes <= limits_.bytes) {
      try {
        list.push_back(std::forward<Record>(record));
        kept = true;
      } catch (const std::bad_alloc&) {
        kept = false;  // as good as full
      }
    }
    if (!kept) {
      if (comes_again) return false;
      ++rows_.dropped;
      dropped.add();
      return false;
    }
    bytes_ += bytes;
    ++accepted_;
    // Between the first row and the one that fills the batch there is nobody to wake.
    wake = rows_.rows() == 1 || rows_.rows() == wanted_;
  }
  if (wake) something_.notify_all();
  return true;
}

bool RecordQueue::has_room() const noexcept {
  const std::lock_guard lock(mutex_);
  return rows_.rows() < limits_.rows - limits_.rows / 16 &&
         bytes_ < limits_.bytes - limits_.bytes / 16;
}

bool RecordQueue::wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  wanted_ = 1;
  something_.wait_for(lock, timeout, [this] { return closed_ || !rows_.empty(); });
  return !rows_.empty();
}

void RecordQueue::wait_for_rows(size_t rows, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  wanted_ = rows;
  something_.wait_for(lock, timeout, [this, rows] { return closed_ || rows_.rows() >= rows; });
}

QueuedRows RecordQueue::take() {
  const std::lock_guard lock(mutex_);
  bytes_ = 0;
  return std::exchange(rows_, {});
}

void RecordQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  something_.notify_all();
}

bool RecordQueue::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

size_t RecordQueue::depth() const {
  const std::lock_guard lock(mutex_);
  return rows_.rows();
}

int64_t RecordQueue::accepted() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

}  // namespace hm::store
