// br (RFC 7932) through the brotli decoder. Its large-window extension stays off, so no stream can
// ask for more than 16 MiB.
#include <brotli/decode.h>

#include <array>

#include "interceptor/http/decoder_stage.h"

namespace hm::http {
namespace {

class BrotliStage final : public DecoderStage {
 public:
  BrotliStage() : decoder_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {}
  ~BrotliStage() override {
    if (decoder_ != nullptr) BrotliDecoderDestroyInstance(decoder_);
  }
  BrotliStage(const BrotliStage&) = delete;
  BrotliStage& operator=(const BrotliStage&) = delete;

  [[nodiscard]] bool live() const { return decoder_ != nullptr; }

  Result<void> feed(Bytes bytes, StageOutput& out) override {
    if (bytes.empty() || ended_) return {};  // bytes behind the end are ignored
    begun_ = true;
    const uint8_t* next_in = bytes.data();
    size_t left = bytes.size();
    while (true) {
      uint8_t* next_out = buffer_.data();
      size_t room = buffer_.size();
      const auto result =
          BrotliDecoderDecompressStream(decoder_, &left, &next_in, &room, &next_out, nullptr);
      if (const size_t produced = buffer_.size() - room; produced > 0) {
        if (auto ok = out.take(Bytes(buffer_.data(), produced)); !ok) return ok;
      }
      switch (result) {
        case BROTLI_DECODER_RESULT_SUCCESS:
          ended_ = true;
          return {};
        case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
          return {};
        case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
          break;
        case BROTLI_DECODER_RESULT_ERROR:
          return fail(Code::malformed, "decoder.brotli", BrotliDecoderGetErrorCode(decoder_));
      }
    }
  }
  bool at_end() const override { return ended_ || !begun_; }

 private:
  BrotliDecoderState* decoder_;
  bool begun_ = false;
  bool ended_ = false;
  std::array<uint8_t, kStageBuffer> buffer_;
};

}  // namespace

std::unique_ptr<DecoderStage> make_brotli_stage() {
  auto stage = std::make_unique<BrotliStage>();
  if (!stage->live()) return nullptr;
  return stage;
}

}  // namespace hm::http
