// The first byte says how the rest is cut. However it is cut, the events must be the same.
#include "interceptor/http/sse.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace {

class Transcript final : public hm::http::SseEvents {
 public:
  void on_event_name(std::string_view name) override {
    if (name.empty() || name.size() > hm::http::SseParser::kMaxName) abort();
  }
  void on_data(hm::Bytes piece) override {
    if (piece.empty()) abort();
    text += hm::as_text(piece);
  }
  void on_event_end(std::string_view name, std::string_view id) override {
    text += '\0';
    text += name;
    text += '\0';
    text += id;
    text += '\0';
  }
  std::string text;
};

std::string parse(hm::Bytes bytes, size_t step) {
  Transcript transcript;
  hm::http::SseParser parser(transcript);
  while (!bytes.empty()) {
    const size_t size = std::min(step, bytes.size());
    if (!parser.feed(bytes.first(size))) abort();
    bytes = bytes.subspan(size);
  }
  if (!parser.finish()) abort();
  return transcript.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const hm::Bytes bytes(data + 1, size - 1);
  const std::string whole = parse(bytes, SIZE_MAX);
  if (parse(bytes, size_t{1} + data[0] % 16) != whole) abort();
  return 0;
}
