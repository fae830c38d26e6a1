// The scanner on any bytes: cutting must not change what it says, caps hold, cut-outs are whole
// values.
#include "interceptor/meter/json_skim.h"

#include <cstdlib>
#include <string>
#include <vector>

namespace {

using hm::Bytes;
using hm::meter::JsonSkim;
using hm::meter::SkimPath;
using hm::meter::TopArray;

constexpr SkimPath kPaths[] = {{"a"}, {"b.c"}, {"d[].e"}, {"d[]", true}, {"f.g.h"}, {"i[][]"}};

struct Told final : hm::meter::SkimEvents {
  void on_value(size_t path, std::string_view json) override {
    if (json.empty() || json.size() > JsonSkim::kMaxValue) std::abort();
    said += std::to_string(path) + "=" + std::string(json) + "\n";
  }
  void on_seen(size_t path) override { said += std::to_string(path) + "?\n"; }
  void on_skipped(size_t path) override { said += std::to_string(path) + "!\n"; }
  void on_document_end() override { said += "end\n"; }
  std::string said;
};

std::string run(Bytes input, TopArray top, size_t first, size_t piece) {
  Told told;
  JsonSkim skim(kPaths, told, top);
  bool failed = false;
  while (!input.empty() && !failed) {
    const size_t size = std::min(input.size(), first);
    const std::vector<uint8_t> copy(input.begin(),
                                    input.begin() + static_cast<std::ptrdiff_t>(size));
    failed = !skim.feed(copy);
    input = input.subspan(size);
    first = piece;
  }
  if (!failed) failed = !skim.finish();
  return told.said + (failed ? "error" : "fine");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const TopArray top = (data[0] & 1U) != 0 ? TopArray::elements : TopArray::document;
  const size_t first = size_t{data[1]} + 1;
  const size_t piece = size_t{data[2]} % 61 + 1;
  const Bytes input(data + 3, size - 3);
  if (run(input, top, input.size() + 1, 1) != run(input, top, first, piece)) std::abort();
  return 0;
}
