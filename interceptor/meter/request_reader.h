// The few things a record needs from a request body (`providers.md` 2.1): model, stream and some
// switches, read from a stream of any size whatever their place. JSON or multipart; gzip, br, zstd
// or plain. What cannot be read leaves its facts unknown: it is no error of the call.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "interceptor/http/decoder.h"
#include "interceptor/http/exchange.h"
#include "interceptor/meter/json_skim.h"
#include "interceptor/meter/multipart.h"

namespace hm::meter {

struct RequestFacts {
  std::string model;
  std::optional<bool> stream;
  bool thinking = false;       // the request turned it on (1.4)
  bool include_usage = false;  // chat: stream_options.include_usage
  std::string cache_lifetime;  // "30m", "12h"
  std::string session_id;
};

class RequestReader final : private http::DecodedSink, private SkimEvents {
 public:
  explicit RequestReader(const http::RequestHead& head);

  void feed(Bytes body);
  void finish();
  [[nodiscard]] const RequestFacts& facts() const { return facts_; }

 private:
  void on_decoded(Bytes bytes) override;
  void on_value(size_t path, std::string_view json) override;
  void on_seen(size_t) override {}
  void on_skipped(size_t) override {}
  void on_document_end() override {}

  RequestFacts facts_;
  JsonSkim skim_;
  std::unique_ptr<Multipart> multipart_;
  std::unique_ptr<http::Decoder> decoder_;
  bool done_ = false;
};

}  // namespace hm::meter
