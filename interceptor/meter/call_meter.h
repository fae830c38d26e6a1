// One exchange in, one CallRecord out (for batch results one per succeeded line). Decides nothing
// about the wire formats: the request reader, the response reader and the route's shape do. What is
// decided here is when counts are final (`providers.md` 1.3), how the call ended (3.3) and what of
// the headers is worth keeping.
//
// Times: duration and time to first byte count from the last byte of the request, or from its head
// if the response began before the upload ended. The first byte is that of the body, or of the head
// when no body came. Bytes are those of the bodies as on the wire.
//
// Lives on the relay loop, owned by the ConnectionMeter. The references given must outlive it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "interceptor/call_record.h"
#include "interceptor/http/exchange.h"
#include "interceptor/meter/connection_meter.h"
#include "interceptor/meter/provider.h"
#include "interceptor/meter/request_reader.h"
#include "interceptor/meter/response_reader.h"
#include "interceptor/meter/shape.h"

namespace hm::meter {

class CallMeter {
 public:
  CallMeter(const Provider& provider, RouteMatch match, const ConnectionFacts& facts,
            const Clock& clock, RecordSink& sink, const http::RequestHead& head);
  CallMeter(const CallMeter&) = delete;
  CallMeter& operator=(const CallMeter&) = delete;

  void request_body(Bytes body);
  void request_end();
  void response_head(const http::ResponseHead& head);
  void response_body(Bytes body);

  // Pushes the record. Nothing may be told afterwards.
  void end(http::EndKind kind);
  // As it stands, incomplete, with this reason.
  void detach(const char* reason);

 private:
  void push_line();
  void push_unread_lines();
  void fill_request(CallRecord& record) const;
  void fill_draft(CallRecord& record, Draft&& draft) const;
  void settle(CallRecord& record, http::EndKind kind) const;
  void settle_success(CallRecord& record, http::EndKind kind) const;
  void set_error(CallRecord& record, std::string_view kind) const;
  [[nodiscard]] CallRecord make_record();
  void push(CallRecord&& record);

  const Provider& provider_;
  const RouteMatch match_;
  const ConnectionFacts& facts_;
  const Clock& clock_;
  RecordSink& sink_;

  CallRecord base_;  // what the heads told
  RequestReader request_;
  Draft draft_;
  std::unique_ptr<Shape> shape_;
  std::unique_ptr<ResponseReader> response_;
  std::string served_model_header_;
  std::string cf_ray_;
  bool plan_exhausted_ = false;  // Anthropic's unified limit says so (4.6)

  int64_t head_at_us_ = 0;  // steady
  std::optional<int64_t> request_end_us_;
  std::optional<int64_t> start_us_;  // what duration counts from, once the response began
  int64_t to_response_head_us_ = 0;
};

}  // namespace hm::meter
