// gzip (RFC 1952) and deflate (RFC 1950, or bare RFC 1951) through zlib; also the messages of
// permessage-deflate (RFC 7692).
#include <zlib.h>

#include <algorithm>
#include <array>
#include <optional>

#include "interceptor/http/decoder_stage.h"
#include "interceptor/http/message_inflate.h"

namespace hm::http {
namespace {

constexpr int kWindowBits = 15;
constexpr int kGzip = 16;  // added to the window bits: expect a gzip header

// Owns one inflater.
class Inflater {
 public:
  ~Inflater() {
    if (live_) inflateEnd(&stream_);
  }
  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  [[nodiscard]] bool start(int window_bits) {
    live_ = inflateInit2(&stream_, window_bits) == Z_OK;
    return live_;
  }
  void restart() { inflateReset(&stream_); }
  void restart_keeping_window() { inflateResetKeep(&stream_); }

  // Takes bytes from the front of `bytes`; true when the stream has ended.
  [[nodiscard]] Result<bool> feed(Bytes& bytes, StageOutput& out) {
    while (true) {
      stream_.next_in = const_cast<Bytef*>(bytes.data());  // zlib only reads it
      stream_.avail_in = static_cast<uInt>(std::min<size_t>(bytes.size(), 1U << 30));
      const size_t offered = stream_.avail_in;
      stream_.next_out = buffer_.data();
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      const int code = inflate(&stream_, Z_SYNC_FLUSH);
      bytes = bytes.subspan(offered - stream_.avail_in);
      const size_t produced = buffer_.size() - stream_.avail_out;
      if (produced > 0) {
        if (auto ok = out.take(Bytes(buffer_.data(), produced)); !ok) {
          return std::unexpected(ok.error());
        }
      }
      if (code == Z_STREAM_END) return true;
      if (code == Z_MEM_ERROR) return fail(Code::exhausted, "decoder.zlib");
      if (code != Z_OK && code != Z_BUF_ERROR) return fail(Code::malformed, "decoder.zlib", code);
      // A full buffer may hide more output; otherwise zlib wants input.
      if (bytes.empty() && stream_.avail_out > 0) return false;
      if (code == Z_BUF_ERROR && produced == 0 && offered == stream_.avail_in) return false;
    }
  }

 private:
  z_stream stream_{};
  bool live_ = false;
  std::array<uint8_t, kStageBuffer> buffer_;
};

class GzipStage final : public DecoderStage {
 public:
  [[nodiscard]] bool start() { return inflater_.start(kWindowBits + kGzip); }

  Result<void> feed(Bytes bytes, StageOutput& out) override {
    while (!bytes.empty() && !ignoring_) {
      if (between_) {
        // Behind a member: another one, or padding and garbage that gzip(1) ignores as well.
        if (members_ > 0 && bytes.front() != kMagic) {
          ignoring_ = true;
          break;
        }
        between_ = false;
      }
      const auto ended = inflater_.feed(bytes, out);
      if (!ended) return std::unexpected(ended.error());
      if (*ended) {
        between_ = true;
        ++members_;
        inflater_.restart();
      }
    }
    return {};
  }
  bool at_end() const override { return between_; }

 private:
  static constexpr uint8_t kMagic = 0x1f;

  Inflater inflater_;
  bool between_ = true;
  bool ignoring_ = false;
  uint64_t members_ = 0;
};

class DeflateStage final : public DecoderStage {
 public:
  Result<void> feed(Bytes bytes, StageOutput& out) override {
    if (state_ == State::undecided) {
      if (bytes.empty()) return {};
      if (!first_ && bytes.size() == 1) {
        first_ = bytes.front();
        return {};
      }
      const bool had_first = first_.has_value();
      const std::array<uint8_t, 2> head{had_first ? *first_ : bytes[0],
                                        had_first ? bytes[0] : bytes[1]};
      if (!inflater_.start(is_zlib(head) ? kWindowBits : -kWindowBits)) {
        return fail(Code::exhausted, "decoder.zlib");
      }
      state_ = State::inflating;
      if (had_first) {
        Bytes held(head.data(), 1);
        if (auto ok = inflate_some(held, out); !ok) return ok;
      }
    }
    return inflate_some(bytes, out);
  }
  bool at_end() const override {
    return state_ == State::ended || (state_ == State::undecided && !first_);
  }

 private:
  enum class State : uint8_t { undecided, inflating, ended };

  // RFC 1950 2.2: method 8, window up to 32 KiB, check bits. Bare deflate would have to begin with
  // a stored block with odd padding to look like it.
  static bool is_zlib(const std::array<uint8_t, 2>& head) {
    return (head[0] & 0x0f) == 8 && head[0] >> 4 <= 7 && (head[0] * 256 + head[1]) % 31 == 0;
  }

  Result<void> inflate_some(Bytes bytes, StageOutput& out) {
    if (state_ == State::ended || bytes.empty()) return {};
    const auto ended = inflater_.feed(bytes, out);
    if (!ended) return std::unexpected(ended.error());
    if (*ended) state_ = State::ended;
    return {};
  }

  Inflater inflater_;
  State state_ = State::undecided;
  std::optional<uint8_t> first_;
};

class ZlibMessageInflate final : public MessageInflate {
 public:
  [[nodiscard]] bool start() { return inflater_.start(-kWindowBits); }

  Result<void> feed(Bytes bytes, StageOutput& out) override {
    while (!bytes.empty()) {
      const auto ended = inflater_.feed(bytes, out);
      if (!ended) return std::unexpected(ended.error());
      // A block may say that it is the last one; the next begins a stream with the same window
      // (RFC 7692 7.2.3.4).
      if (*ended) inflater_.restart_keeping_window();
      open_ = !*ended;
    }
    return {};
  }

  Result<void> end_message(StageOutput& out) override {
    constexpr std::array<uint8_t, 4> kTail{0x00, 0x00, 0xff, 0xff};
    // Behind a last block nothing is missing.
    const bool missing = open_;
    auto fed = missing ? feed(kTail, out) : Result<void>{};
    open_ = false;
    return fed;
  }

  void forget() override { inflater_.restart(); }

 private:
  Inflater inflater_;
  bool open_ = false;  // inside the blocks of a message
};

}  // namespace

std::unique_ptr<MessageInflate> make_message_inflate() {
  auto inflate = std::make_unique<ZlibMessageInflate>();
  if (!inflate->start()) return nullptr;
  return inflate;
}

std::unique_ptr<DecoderStage> make_gzip_stage() {
  auto stage = std::make_unique<GzipStage>();
  if (!stage->start()) return nullptr;
  return stage;
}

std::unique_ptr<DecoderStage> make_deflate_stage() {
  return std::make_unique<DeflateStage>();
}

}  // namespace hm::http
