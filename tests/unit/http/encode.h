// Compresses test data: whole, or with a flush after each piece.
#pragma once

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace hm::test {

// One string per piece: what a flushing server would have sent after it; the last holds the end.
using Pieces = std::vector<std::string>;

inline std::string joined(const Pieces& pieces) {
  std::string all;
  for (const auto& piece : pieces) all += piece;
  return all;
}

// window_bits: 31 gzip, 15 zlib, -15 bare deflate.
inline Pieces deflate_pieces(const Pieces& pieces, int window_bits) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) abort();
  Pieces result;
  for (size_t i = 0; i < pieces.size(); ++i) {
    std::string out(pieces[i].size() + 4096, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(pieces[i].data()));
    stream.avail_in = static_cast<uInt>(pieces[i].size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, i + 1 == pieces.size() ? Z_FINISH : Z_SYNC_FLUSH);
    out.resize(out.size() - stream.avail_out);
    result.push_back(out);
  }
  deflateEnd(&stream);
  return result;
}

inline Pieces brotli_pieces(const Pieces& pieces) {
  BrotliEncoderState* state = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
  BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, 5);
  Pieces result;
  for (size_t i = 0; i < pieces.size(); ++i) {
    std::string out(pieces[i].size() + 4096, '\0');
    const auto* next_in = reinterpret_cast<const uint8_t*>(pieces[i].data());
    size_t left = pieces[i].size();
    auto* next_out = reinterpret_cast<uint8_t*>(out.data());
    size_t room = out.size();
    const auto operation =
        i + 1 == pieces.size() ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_FLUSH;
    BrotliEncoderCompressStream(state, operation, &left, &next_in, &room, &next_out, nullptr);
    out.resize(out.size() - room);
    result.push_back(out);
  }
  BrotliEncoderDestroyInstance(state);
  return result;
}

inline Pieces zstd_pieces(const Pieces& pieces, int window_log = 0) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  if (window_log != 0) ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  Pieces result;
  for (size_t i = 0; i < pieces.size(); ++i) {
    std::string out(pieces[i].size() + 4096, '\0');
    ZSTD_inBuffer in{pieces[i].data(), pieces[i].size(), 0};
    ZSTD_outBuffer produced{out.data(), out.size(), 0};
    ZSTD_compressStream2(context, &produced, &in,
                         i + 1 == pieces.size() ? ZSTD_e_end : ZSTD_e_flush);
    out.resize(produced.pos);
    result.push_back(out);
  }
  ZSTD_freeCCtx(context);
  return result;
}

inline std::string gzip(const std::string& text) {
  return joined(deflate_pieces({text}, 31));
}
inline std::string brotli(const std::string& text) {
  return joined(brotli_pieces({text}));
}
inline std::string zstd(const std::string& text) {
  return joined(zstd_pieces({text}));
}

}  // namespace hm::test
