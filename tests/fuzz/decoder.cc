// First byte: the coding; second: how the rest is cut. Budgets must hold, and a failed decoder must
// stay failed and silent.
#include "interceptor/http/decoder.h"

#include <algorithm>
#include <array>
#include <cstdlib>

namespace {

class Count final : public hm::http::DecodedSink {
 public:
  void on_decoded(hm::Bytes bytes) override {
    if (bytes.empty()) abort();
    total += bytes.size();
  }
  uint64_t total = 0;
};

constexpr std::array<const char*, 8> kCodings{
    "gzip", "deflate", "br", "zstd", "gzip, zstd", "br, zstd", "deflate, gzip", "identity"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  hm::http::DecoderLimits limits;
  limits.max_output = 4 * 1024 * 1024;
  Count sink;
  auto decoder = hm::http::Decoder::create(kCodings[data[0] % kCodings.size()], limits, sink);
  if (!decoder) abort();
  const size_t step = data[1] == 0 ? size : data[1];
  hm::Bytes bytes(data + 2, size - 2);
  bool failed = false;
  while (!bytes.empty()) {
    const size_t take = std::min(step, bytes.size());
    const uint64_t before = sink.total;
    const bool ok = (*decoder)->feed(bytes.first(take)).has_value();
    if (failed && (ok || sink.total != before)) abort();
    failed = !ok;
    bytes = bytes.subspan(take);
  }
  if ((*decoder)->finish().has_value() == failed) abort();
  if (sink.total > limits.max_output || sink.total != (*decoder)->bytes_out()) abort();
  return 0;
}
