// zstd (RFC 8878) through libzstd, which goes over several frames and skippable ones by itself.
#include <zstd.h>
#include <zstd_errors.h>

#include <array>

#include "interceptor/http/decoder_stage.h"

namespace hm::http {
namespace {

class ZstdStage final : public DecoderStage {
 public:
  explicit ZstdStage(int max_window_log) : context_(ZSTD_createDCtx()) {
    if (context_ != nullptr) {
      (void)ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, max_window_log);
    }
  }
  ~ZstdStage() override { ZSTD_freeDCtx(context_); }
  ZstdStage(const ZstdStage&) = delete;
  ZstdStage& operator=(const ZstdStage&) = delete;

  [[nodiscard]] bool live() const { return context_ != nullptr; }

  Result<void> feed(Bytes bytes, StageOutput& out) override {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    bool more = !bytes.empty() && !ignoring_;
    while (more) {
      if (at_end_ && begun_ && in.pos < in.size && !may_begin_frame(bytes[in.pos])) {
        ignoring_ = true;  // as with the other codings: what follows the last frame is no matter
        return {};
      }
      begun_ = true;
      ZSTD_outBuffer produced{buffer_.data(), buffer_.size(), 0};
      const size_t before = in.pos;
      const size_t hint = ZSTD_decompressStream(context_, &produced, &in);
      if (produced.pos > 0) {
        if (auto ok = out.take(Bytes(buffer_.data(), produced.pos)); !ok) return ok;
      }
      if (ZSTD_isError(hint) != 0) return refuse(hint);
      // 0 is the end of a frame. Called without progress it would mean nothing.
      if (in.pos > before || produced.pos > 0) at_end_ = hint == 0;
      more = in.pos < in.size || produced.pos == produced.size;
    }
    return {};
  }
  bool at_end() const override { return at_end_; }

 private:
  // RFC 8878 3.1: 28 B5 2F FD for a frame, 5? 2A 4D 18 for one to be skipped.
  static bool may_begin_frame(uint8_t first) { return first == 0x28 || (first & 0xf0) == 0x50; }

  Result<void> refuse(size_t result) {
    switch (ZSTD_getErrorCode(result)) {
      case ZSTD_error_frameParameter_windowTooLarge:
        return fail(Code::too_large, "decoder.zstd.window");
      case ZSTD_error_memory_allocation:
        return fail(Code::exhausted, "decoder.zstd");
      default:
        return fail(Code::malformed, "decoder.zstd", ZSTD_getErrorCode(result));
    }
  }

  ZSTD_DCtx* context_;
  bool begun_ = false;
  bool at_end_ = true;
  bool ignoring_ = false;
  std::array<uint8_t, kStageBuffer> buffer_;
};

}  // namespace

std::unique_ptr<DecoderStage> make_zstd_stage(int max_window_log) {
  auto stage = std::make_unique<ZstdStage>(max_window_log);
  if (!stage->live()) return nullptr;
  return stage;
}

}  // namespace hm::http
