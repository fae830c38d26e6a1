#include "interceptor/http/hpack.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <new>

namespace hm::http {
namespace {

constexpr uint32_t kInitialTable = 4096;  // RFC 9113 6.5.2

std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

struct HpackInflater::Parts {
  Parts() {
    if (nghttp2_hd_inflate_new(&inflater) != 0) throw std::bad_alloc();
  }
  ~Parts() { nghttp2_hd_inflate_del(inflater); }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  nghttp2_hd_inflater* inflater = nullptr;
};

HpackInflater::HpackInflater(uint32_t max_table)
    : parts_(std::make_unique<Parts>()),
      max_table_(max_table),
      allowed_(kInitialTable),
      applied_(kInitialTable) {}

HpackInflater::~HpackInflater() = default;

void HpackInflater::allow_table(uint32_t size) {
  allowed_ = std::max(allowed_, std::min(size, max_table_));
}

// The limit changes between blocks only: inside of one the inflater refuses it.
void HpackInflater::begin_block() {
  if (allowed_ == applied_) return;
  if (nghttp2_hd_inflate_change_table_size(parts_->inflater, allowed_) == 0) applied_ = allowed_;
}

Result<void> HpackInflater::feed(Bytes fragment, FieldSink& sink) {
  return fragment.empty() ? Result<void>{} : inflate(fragment, false, sink);
}

Result<void> HpackInflater::end_block(FieldSink& sink) {
  return inflate({}, true, sink);
}

Result<void> HpackInflater::inflate(Bytes bytes, bool last, FieldSink& sink) {
  static constexpr uint8_t kNothing = 0;
  while (true) {
    nghttp2_nv field;
    int flags = 0;
    const auto used = nghttp2_hd_inflate_hd2(parts_->inflater, &field, &flags,
                                             bytes.empty() ? &kNothing : bytes.data(), bytes.size(),
                                             last ? 1 : 0);
    if (used < 0) return fail(Code::malformed, "h2.hpack", static_cast<int64_t>(used));
    bytes = bytes.subspan(static_cast<size_t>(used));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      sink.on_field(view(field.name, field.namelen), view(field.value, field.valuelen));
      continue;
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) {
      nghttp2_hd_inflate_end_headers(parts_->inflater);
      return {};
    }
    if (bytes.empty()) return {};
  }
}

}  // namespace hm::http
