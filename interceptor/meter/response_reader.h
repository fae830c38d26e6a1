// One response body on its way to a shape: content coding, then framing by the response's content
// type (event stream, JSON, JSON array over time, JSON Lines), then the skimmer. What was asked for
// does not matter here, only what came (`providers.md` 1.1 `stream`). Nothing is stored but the
// shape's fields; decoded bytes are bounded (DecoderLimits), then it stops looking.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "interceptor/http/decoder.h"
#include "interceptor/http/exchange.h"
#include "interceptor/http/sse.h"
#include "interceptor/meter/json_skim.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {

class ResponseReader final : private http::DecodedSink,
                             private http::SseEvents,
                             private SkimEvents {
 public:
  // `on_record` is told when a document made a record of its own (batch lines). All references must
  // outlive the reader.
  ResponseReader(const http::ResponseHead& head, bool lines, Shape& shape, Draft& draft,
                 std::function<void()> on_record);

  void feed(Bytes body);
  void finish();

  // A word of `providers.md` 14 when the body could not be read: undecodable, unparsable,
  // too_large.
  [[nodiscard]] const char* failure() const { return failure_; }
  // The body needs a terminal mark: an event stream, or an array over time.
  [[nodiscard]] bool is_stream() const;
  [[nodiscard]] bool is_event_stream() const { return framing_ == Framing::events; }
  // At least one JSON document came, all that came were whole, and so was the coding.
  [[nodiscard]] bool whole_json() const;
  // There was something in the body that could have told usage.
  [[nodiscard]] bool readable() const {
    return framing_ != Framing::other && framing_ != Framing::unknown;
  }

 private:
  enum class Framing : uint8_t { unknown, other, json, lines, events };

  void on_decoded(Bytes bytes) override;
  void on_event_name(std::string_view) override {}
  void on_data(Bytes piece) override;
  void on_event_end(std::string_view name, std::string_view id) override;
  void on_value(size_t path, std::string_view json) override;
  void on_seen(size_t path) override;
  void on_skipped(size_t path) override;
  void on_document_end() override;

  void tell_document(std::string_view event_name);
  void drop_document();
  void end_line();
  bool sniff(Bytes bytes);

  Shape& shape_;
  Draft& draft_;
  std::function<void()> on_record_;
  JsonSkim skim_;
  http::SseParser sse_;
  std::unique_ptr<http::Decoder> decoder_;
  Framing framing_ = Framing::unknown;
  const char* failure_ = nullptr;
  bool finished_ = false;
  bool cut_ = false;
  uint64_t documents_ = 0;
  bool small_ = true;  // the event's data so far fits in start_
  std::string start_;  // the first bytes: of an event, perhaps `[DONE]`; of a body without a type
};

}  // namespace hm::meter
