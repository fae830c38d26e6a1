#include "interceptor/tls/plain_alert.h"

#include <algorithm>

namespace hm::tls {
namespace {

constexpr uint8_t kAlertRecord = 21;
constexpr uint8_t kFatal = 2;

}  // namespace

void PlainAlertWatch::feed(Bytes ciphertext) {
  while (!ciphertext.empty()) {
    if (header_used_ < kHeader) {
      header_[header_used_++] = ciphertext.front();
      ciphertext = ciphertext.subspan(1);
      if (header_used_ == kHeader) header_complete();
      continue;
    }
    if (!in_alert_) {
      const size_t skip = std::min(body_left_, ciphertext.size());
      body_left_ -= skip;
      ciphertext = ciphertext.subspan(skip);
    } else {
      if (body_left_ == 2) level_ = ciphertext.front();
      if (body_left_ == 1 && level_ == kFatal) alert_ = ciphertext.front();
      --body_left_;
      ciphertext = ciphertext.subspan(1);
    }
    if (body_left_ == 0) header_used_ = 0;
  }
}

void PlainAlertWatch::header_complete() {
  body_left_ = static_cast<size_t>(header_[3]) << 8U | header_[4];
  in_alert_ = header_[0] == kAlertRecord && header_[1] == 3 && body_left_ == 2;
  if (body_left_ == 0) header_used_ = 0;
}

}  // namespace hm::tls
