// One coding of a Content-Encoding list. Each library has one .cc with its stage; decoder.cc makes
// a chain of them. Private to this folder.
#pragma once

#include <cstdint>
#include <memory>

#include "common/base/bytes.h"
#include "common/base/result.h"

namespace hm::http {

// Takes what a stage has decoded: the next stage, or the budget in front of the caller's sink.
class StageOutput {
 public:
  [[nodiscard]] virtual Result<void> take(Bytes bytes) = 0;

 protected:
  ~StageOutput() = default;
};

class DecoderStage {
 public:
  virtual ~DecoderStage() = default;
  // Gives out everything that the bytes so far allow. After an error it is not fed again.
  [[nodiscard]] virtual Result<void> feed(Bytes bytes, StageOutput& out) = 0;
  // At a place where the coded stream may end; so is one that has seen nothing.
  [[nodiscard]] virtual bool at_end() const = 0;
};

inline constexpr size_t kStageBuffer = 32 * 1024;  // decoded bytes handed on at a time

// Null when the library has no memory.
[[nodiscard]] std::unique_ptr<DecoderStage> make_gzip_stage();
[[nodiscard]] std::unique_ptr<DecoderStage> make_deflate_stage();
[[nodiscard]] std::unique_ptr<DecoderStage> make_brotli_stage();
[[nodiscard]] std::unique_ptr<DecoderStage> make_zstd_stage(int max_window_log);

}  // namespace hm::http
