#include "interceptor/relay/tap.h"

#include <exception>
#include <utility>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "interceptor/http/h1_observer.h"
#include "interceptor/http/h2_frames.h"
#include "interceptor/http/h2_observer.h"

namespace hm::relay {
namespace {

constexpr std::string_view kHttp2 = "h2";

bool reads_as_http1(std::string_view alpn) {
  return alpn == "http/1.1" || alpn == "http/1.0";
}

}  // namespace

std::string_view Tap::transport_of(std::string_view alpn) {
  return alpn == kHttp2 ? "h2" : "h1";
}

Tap::Tap(const meter::Provider& provider, const meter::ConnectionFacts& facts,
         std::string_view alpn, const Clock& clock, RecordSink& sink)
    : facts_(facts),
      clock_(clock),
      sink_(sink),
      alpn_(alpn),
      started_at_us_(clock.wall_us()),
      started_us_(clock.steady_us()) {
  const bool http2 = alpn == kHttp2;
  if (!http2 && !alpn.empty() && !reads_as_http1(alpn)) {
    unread_ = true;
    return;
  }
  meter_ = std::make_unique<meter::ConnectionMeter>(provider, facts, clock, sink);
  if (http2) {
    observer_ = std::make_unique<http::H2Observer>(*meter_);
  } else if (alpn.empty()) {
    auto unnamed = std::make_unique<http::UnnamedObserver>(*meter_);
    unnamed_ = unnamed.get();
    observer_ = std::move(unnamed);
  } else {
    observer_ = std::make_unique<http::H1Observer>(*meter_);
  }
}

Tap::~Tap() {
  if (unread_) record_unread();
}

template <class Step>
void Tap::guarded(Step&& step) noexcept {
  if (observer_ == nullptr) return;
  try {
    const Result<void> looked = step(*observer_);
    if (!looked) detach("observer_lost", looked.error());
  } catch (const std::exception&) {
    detach("observer_lost", Error{Code::internal, "tap.exception"});
  } catch (...) {
    detach("observer_lost", Error{Code::internal, "tap.unknown_exception"});
  }
}

void Tap::look(bool from_client, Bytes bytes) noexcept {
  (from_client ? bytes_up_ : bytes_down_) += static_cast<int64_t>(bytes.size());
  guarded([&](http::ConnectionObserver& observer) {
    return from_client ? observer.from_client(bytes) : observer.from_origin(bytes);
  });
}

void Tap::client_ended(bool orderly) noexcept {
  if (std::exchange(client_over_, true)) return;
  guarded([orderly](http::ConnectionObserver& observer) -> Result<void> {
    observer.client_ended(orderly);
    return {};
  });
}

void Tap::origin_ended(bool orderly) noexcept {
  if (std::exchange(origin_over_, true)) return;
  guarded([orderly](http::ConnectionObserver& observer) -> Result<void> {
    observer.origin_ended(orderly);
    return {};
  });
}

size_t Tap::open_exchanges() const noexcept {
  return observer_ != nullptr ? meter_->open_exchanges() : 0;
}

bool Tap::found_http2() const noexcept {
  return unnamed_ != nullptr ? unnamed_->http2() : found_http2_;
}

bool Tap::mid_message() const noexcept {
  return observer_ != nullptr && observer_->mid_message();
}

int64_t Tap::may_begin(Bytes from_client) const noexcept {
  if (observer_ == nullptr || mid_message()) return 0;
  if (alpn_ == "h2" || found_http2() || http::H2Frames::begins_with_preface(from_client))
    return static_cast<int64_t>(http::H2Frames::headers_in(from_client));
  return open_exchanges() == 0 ? 1 : 0;
}

size_t Tap::open_calls() const noexcept {
  return observer_ != nullptr ? meter_->open_calls() : 0;
}

void Tap::detach(const char* reason, const Error& error) noexcept {
  static Counter& detached = counters::get("tap.detached");
  detached.add();
  found_http2_ = found_http2();
  unnamed_ = nullptr;
  observer_.reset();
  unread_ = true;
  try {
    log::warn("tap.detached")
        .with("host", facts_.host)
        .with("call", facts_.call_id)
        .with("reason", reason)
        .with(error);
    meter_->detach(reason);
  } catch (...) {
    // The rows of this connection are lost; the miss below still says so.
    static Counter& failed = counters::get("tap.detach_failed");
    failed.add();
  }
}

void Tap::record_unread() noexcept {
  if (std::exchange(recorded_, true)) return;
  try {
    MissRecord miss;
    miss.at_us = started_at_us_;
    miss.host = facts_.host;
    miss.reason = meter_ != nullptr ? "observer_lost" : "observer_unread";
    miss.bytes_up = bytes_up_;
    miss.bytes_down = bytes_down_;
    miss.duration_us = clock_.steady_us() - started_us_;
    miss.call_id = facts_.call_id;
    miss.detail = meter_ != nullptr ? std::string() : alpn_;
    sink_.push(std::move(miss));
  } catch (...) {
    static Counter& lost = counters::get("tap.miss_lost");
    lost.add();
  }
}

}  // namespace hm::relay
