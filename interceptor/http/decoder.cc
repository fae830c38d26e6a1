#include "interceptor/http/decoder.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>
#include <vector>

#include "interceptor/http/decoder_stage.h"
#include "interceptor/http/text.h"

namespace hm::http {
namespace {

constexpr size_t kMaxCodings = 4;

std::atomic<uint64_t> decoded_limit_bytes{64 * 1024 * 1024};

Result<std::unique_ptr<DecoderStage>> make_stage(std::string_view coding,
                                                 const DecoderLimits& limits) {
  std::unique_ptr<DecoderStage> stage;
  if (equal_nocase(coding, "gzip") || equal_nocase(coding, "x-gzip")) {
    stage = make_gzip_stage();
  } else if (equal_nocase(coding, "deflate")) {
    stage = make_deflate_stage();
  } else if (equal_nocase(coding, "br")) {
    stage = make_brotli_stage();
  } else if (equal_nocase(coding, "zstd")) {
    stage = make_zstd_stage(limits.max_window_log);
  } else {
    return fail(Code::unsupported, "decoder.coding");
  }
  if (stage == nullptr) return fail(Code::exhausted, "decoder.create");
  return stage;
}

}  // namespace

uint64_t decoded_limit() {
  return decoded_limit_bytes.load(std::memory_order_relaxed);
}

void set_decoded_limit(uint64_t bytes) {
  decoded_limit_bytes.store(bytes, std::memory_order_relaxed);
}

struct Decoder::Parts final {
  // What comes out of stage `index`: counted, then given to the stage before it in the list, or to
  // the sink when it is the first coding that was applied.
  class Link final : public StageOutput {
   public:
    Link(Parts& parts, size_t index) : parts_(parts), index_(index) {}
    Result<void> take(Bytes bytes) override {
      const DecoderLimits& bounds = parts_.limits;
      const auto room =
          static_cast<size_t>(std::min<uint64_t>(bytes.size(), bounds.max_output - total_));
      total_ += room;
      if (auto ok = pass_on(bytes.first(room)); !ok) return ok;
      if (room < bytes.size()) return fail(Code::too_large, "decoder.output");
      if (total_ > bounds.ratio_floor && total_ / bounds.max_ratio > parts_.bytes_in) {
        return fail(Code::too_large, "decoder.ratio");
      }
      return {};
    }

   private:
    Result<void> pass_on(Bytes bytes) {
      if (bytes.empty()) return {};
      if (index_ > 0) return parts_.stages[index_ - 1]->feed(bytes, parts_.links[index_ - 1]);
      parts_.give(bytes);
      return {};
    }

    Parts& parts_;
    size_t index_;
    uint64_t total_ = 0;
  };

  Parts(const DecoderLimits& bounds, DecodedSink& output) : limits(bounds), sink(output) {}

  void give(Bytes bytes) {
    bytes_out += bytes.size();
    sink.on_decoded(bytes);
  }

  Result<void> feed(Bytes bytes) {
    bytes_in += bytes.size();
    if (!stages.empty()) return stages.back()->feed(bytes, links.back());
    const auto room =
        static_cast<size_t>(std::min<uint64_t>(bytes.size(), limits.max_output - bytes_out));
    if (room > 0) give(bytes.first(room));
    if (room < bytes.size()) return fail(Code::too_large, "decoder.output");
    return {};
  }

  const DecoderLimits limits;
  DecodedSink& sink;
  std::vector<std::unique_ptr<DecoderStage>> stages;  // in the order they were applied
  std::vector<Link> links;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  bool truncated = false;
  bool failed = false;
  Error error;
};

Result<std::unique_ptr<Decoder>> Decoder::create(std::string_view content_encoding,
                                                 const DecoderLimits& limits, DecodedSink& sink) {
  auto parts = std::make_unique<Parts>(limits, sink);
  for (std::string_view list = content_encoding; !list.empty();) {
    const std::string_view coding = next_element(list);
    if (coding.empty() || equal_nocase(coding, "identity")) continue;
    if (parts->stages.size() == kMaxCodings) return fail(Code::unsupported, "decoder.list");
    auto stage = make_stage(coding, limits);
    if (!stage) return std::unexpected(stage.error());
    parts->stages.push_back(std::move(*stage));
  }
  for (size_t i = 0; i < parts->stages.size(); ++i) parts->links.emplace_back(*parts, i);
  return std::unique_ptr<Decoder>(new Decoder(std::move(parts)));
}

Decoder::Decoder(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Decoder::~Decoder() = default;

Result<void> Decoder::feed(Bytes bytes) {
  if (parts_->failed) return std::unexpected(parts_->error);
  if (bytes.empty()) return {};
  auto result = parts_->feed(bytes);
  if (!result) {
    parts_->failed = true;
    parts_->error = result.error();
  }
  return result;
}

Result<void> Decoder::finish() {
  if (parts_->failed) return std::unexpected(parts_->error);
  parts_->truncated =
      !std::ranges::all_of(parts_->stages, [](const auto& s) { return s->at_end(); });
  return {};
}

bool Decoder::truncated() const {
  return parts_->truncated;
}
bool Decoder::is_identity() const {
  return parts_->stages.empty();
}
uint64_t Decoder::bytes_in() const {
  return parts_->bytes_in;
}
uint64_t Decoder::bytes_out() const {
  return parts_->bytes_out;
}

}  // namespace hm::http
