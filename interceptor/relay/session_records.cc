// What a session leaves behind: rows, which wait for the client's name, and misses.
#include <utility>

#include "common/wire/ask.h"
#include "interceptor/relay/session.h"

namespace hm::relay {
namespace {

constexpr size_t kMaxWaitingRows = 256;

}  // namespace

void Session::leave_when_known() {
  if (attribution_asked_ && !attributed_ && (refused_ || !waiting_.empty())) return;
  owner_.on_session_over(id_);
}

void Session::on_attributed(const Attribution& attribution) {
  attributed_ = true;
  facts_.attribution = attribution;
  for (CallRecord& record : waiting_) {
    // The user agent is a better name than the process.
    Attribution merged = attribution;
    if (!record.attribution.client_name.empty()) {
      merged.client_name = std::move(record.attribution.client_name);
      merged.client_version = std::move(record.attribution.client_version);
    }
    record.attribution = std::move(merged);
    context_.sink.push(std::move(record));
  }
  waiting_.clear();
  if (refused_)
    context_.trust.name_client(facts_.host, hello_shape_, attribution.client_name,
                               attribution.client_pid);
  if (machine_.state() == State::closed) leave_when_known();
}

// What was begun is what has its row, or will have one.
void Session::note_flight(int64_t about_to_begin) {
  if (flight_ == FlightLog::kNone) return;
  const auto open = tap_ != nullptr ? static_cast<int64_t>(tap_->open_calls()) : 0;
  context_.flights->note(flight_, pushed_ + open + about_to_begin);
}

bool Session::push(CallRecord&& record) noexcept {
  ++pushed_;
  if (tap_ != nullptr && tap_->found_http2() && record.transport == "h1")
    record.transport = Tap::transport_of("h2");
  if (!attribution_asked_ || attributed_ || waiting_.size() >= kMaxWaitingRows)
    return context_.sink.push(std::move(record));
  try {
    waiting_.push_back(std::move(record));
    return true;
  } catch (...) {
    return context_.sink.push(std::move(record));
  }
}

bool Session::push(MissRecord&& record) noexcept {
  record.client_port = client_port_;
  return context_.sink.push(std::move(record));
}

void Session::record_miss(const char* reason, std::string detail) {
  if (provider_ == nullptr && miss_reason_ == nullptr) return;  // not a host that we meter
  if (facts_.host == wire::kSelfTestHost) return;               // nobody's call went unmetered
  MissRecord miss;
  miss.at_us = started_wall_us_;
  miss.host = facts_.host;
  miss.reason = reason;
  miss.bytes_up = bytes_up_;
  miss.bytes_down = bytes_down_;
  miss.duration_us = context_.clock.steady_us() - started_us_;
  miss.call_id = facts_.call_id;
  miss.detail = std::move(detail);
  push(std::move(miss));
  enter_unmetered();
}

// A call that has no row counts also when this process dies before its miss is safe.
void Session::enter_unmetered() {
  if (context_.flights == nullptr || flight_ != FlightLog::kNone) return;
  flight_ = context_.flights->begin(facts_.host, facts_.call_id, client_port_, started_wall_us_);
  context_.flights->note(flight_, 1);
}

}  // namespace hm::relay
