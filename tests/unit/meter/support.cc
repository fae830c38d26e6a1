#include "tests/unit/meter/support.h"

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <stdexcept>

namespace hm::test {
namespace {

std::string deflate_with(std::string_view text, size_t piece, int window_bits) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string out;
  std::array<unsigned char, 4096> buffer{};
  const auto run = [&](std::string_view part, int flush) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
    stream.avail_in = static_cast<uInt>(part.size());
    do {
      stream.next_out = buffer.data();
      stream.avail_out = static_cast<uInt>(buffer.size());
      deflate(&stream, flush);
      out.append(reinterpret_cast<const char*>(buffer.data()), buffer.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  };
  for (size_t at = 0; at < text.size(); at += piece) run(text.substr(at, piece), Z_SYNC_FLUSH);
  run({}, Z_FINISH);
  deflateEnd(&stream);
  return out;
}

std::string brotli(std::string_view text, size_t piece) {
  BrotliEncoderState* state = BrotliEncoderCreateInstance(nullptr, nullptr, nullptr);
  BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, 4);
  std::string out;
  const auto run = [&](std::string_view part, BrotliEncoderOperation operation) {
    const auto* next = reinterpret_cast<const uint8_t*>(part.data());
    size_t left = part.size();
    do {
      size_t none = 0;
      BrotliEncoderCompressStream(state, operation, &left, &next, &none, nullptr, nullptr);
      size_t size = 0;
      const uint8_t* got = BrotliEncoderTakeOutput(state, &size);
      out.append(reinterpret_cast<const char*>(got), size);
    } while (left > 0 || BrotliEncoderHasMoreOutput(state) == BROTLI_TRUE);
  };
  for (size_t at = 0; at < text.size(); at += piece) {
    run(text.substr(at, piece), BROTLI_OPERATION_FLUSH);
  }
  run({}, BROTLI_OPERATION_FINISH);
  BrotliEncoderDestroyInstance(state);
  return out;
}

std::string zstd(std::string_view text, size_t piece) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  std::string out;
  std::array<char, 4096> buffer{};
  const auto run = [&](std::string_view part, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{part.data(), part.size(), 0};
    size_t left = 0;
    do {
      ZSTD_outBuffer to{buffer.data(), buffer.size(), 0};
      left = ZSTD_compressStream2(context, &to, &in, directive);
      if (ZSTD_isError(left) != 0) throw std::runtime_error("ZSTD_compressStream2");
      out.append(buffer.data(), to.pos);
    } while (left != 0);
  };
  for (size_t at = 0; at < text.size(); at += piece) run(text.substr(at, piece), ZSTD_e_flush);
  run({}, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  return out;
}

}  // namespace

std::string compress(std::string_view coding, std::string_view text, size_t piece) {
  if (coding == "gzip") return deflate_with(text, piece, 15 + 16);
  if (coding == "deflate") return deflate_with(text, piece, 15);
  if (coding == "br") return brotli(text, piece);
  if (coding == "zstd") return zstd(text, piece);
  throw std::runtime_error("unknown coding");
}

Exchange simple_exchange(std::string_view host, std::string_view target,
                         std::string_view request_body, std::string_view response_body,
                         std::string_view content_type) {
  Exchange exchange;
  exchange.host = host;
  exchange.request = {
      "POST", std::string(target), exchange.host, "1.1", {{"content-type", "application/json"}}};
  exchange.request_body = request_body;
  exchange.response = {200, "1.1", {{"content-type", std::string(content_type)}}};
  exchange.response_body = response_body;
  return exchange;
}

KeptRecords meter_exchange(const Exchange& exchange, const Split& request_split,
                           const Split& response_split) {
  const meter::Provider* provider = meter::provider_for_host(exchange.host);
  if (provider == nullptr) throw std::runtime_error("no provider for " + exchange.host);
  return meter_exchange(*provider, exchange, request_split, response_split);
}

KeptRecords meter_exchange(const meter::Provider& provider, const Exchange& exchange,
                           const Split& request_split, const Split& response_split) {
  KeptRecords kept;
  ManualClock clock;
  meter::ConnectionFacts facts;
  facts.host = exchange.host;
  facts.call_id = "c1";
  meter::ConnectionMeter meter(provider, facts, clock, kept);
  constexpr http::ExchangeId kId = 1;
  meter.on_request_head(kId, exchange.request);
  feed_split(as_bytes(exchange.request_body), request_split,
             [&](Bytes piece) { meter.on_request_body(kId, piece); });
  clock.advance_us(1000);
  meter.on_request_end(kId);
  clock.advance_us(250'000);
  meter.on_response_head(kId, exchange.response);
  feed_split(as_bytes(exchange.response_body), response_split, [&](Bytes piece) {
    clock.advance_us(10);
    meter.on_response_body(kId, piece);
  });
  meter.on_exchange_end(kId, exchange.end);
  if (meter.open_calls() != 0) throw std::runtime_error("a call stayed open");
  return kept;
}

KeptRecords meter_exchange(const Exchange& exchange) {
  return meter_exchange(exchange, {"whole", {exchange.request_body.size() + 1}},
                        {"whole", {exchange.response_body.size() + 1}});
}

}  // namespace hm::test
