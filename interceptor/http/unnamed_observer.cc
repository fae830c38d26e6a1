#include "interceptor/http/unnamed_observer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "interceptor/http/h1_observer.h"
#include "interceptor/http/h2_observer.h"

namespace hm::http {
namespace {

constexpr std::string_view kPrefaceBegins = "PRI ";
constexpr size_t kMostKept = 16 * 1024;

}  // namespace

Result<void> UnnamedObserver::from_client(Bytes bytes) {
  if (known_ != nullptr) return known_->from_client(bytes);
  from_client_.append(as_text(bytes));
  const size_t compared = std::min(from_client_.size(), kPrefaceBegins.size());
  const bool fits = from_client_.compare(0, compared, kPrefaceBegins, 0, compared) == 0;
  if (fits && compared < kPrefaceBegins.size()) return {};
  return decide(fits);
}

Result<void> UnnamedObserver::from_origin(Bytes bytes) {
  if (known_ == nullptr && from_origin_.size() + bytes.size() > kMostKept) {
    if (auto decided = decide(false); !decided) return decided;
  }
  if (known_ != nullptr) return known_->from_origin(bytes);
  from_origin_.append(as_text(bytes));
  return {};
}

Result<void> UnnamedObserver::decide(bool http2) {
  http2_ = http2;
  if (http2) {
    known_ = std::make_unique<H2Observer>(events_);
  } else {
    known_ = std::make_unique<H1Observer>(events_);
  }
  const std::string client = std::exchange(from_client_, {});
  const std::string origin = std::exchange(from_origin_, {});
  // What came from an HTTP/1 origin before any request answers none, and must be read as such.
  if (!http2 && !origin.empty()) {
    if (auto read = known_->from_origin(as_bytes(origin)); !read) return read;
  }
  if (auto read = known_->from_client(as_bytes(client)); !read) return read;
  return http2 && !origin.empty() ? known_->from_origin(as_bytes(origin)) : Result<void>{};
}

void UnnamedObserver::client_ended(bool orderly) {
  if (known_ == nullptr) static_cast<void>(decide(false));
  known_->client_ended(orderly);
}

void UnnamedObserver::origin_ended(bool orderly) {
  if (known_ == nullptr) static_cast<void>(decide(false));
  known_->origin_ended(orderly);
}

bool UnnamedObserver::mid_message() const {
  return known_ != nullptr ? known_->mid_message() : !from_client_.empty();
}

}  // namespace hm::http
