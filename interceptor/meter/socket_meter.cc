#include "interceptor/meter/socket_meter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/counters.h"
#include "common/base/random_id.h"
#include "interceptor/meter/header_facts.h"
#include "interceptor/meter/record_fill.h"
#include "interceptor/meter/socket_query.h"

namespace hm::meter {
namespace {

constexpr size_t kMaxFinished = 64;
constexpr size_t kMaxKey = 200;

enum ClientPath : size_t {
  kType,
  kEventId,
  kStreamId,
  kGenerate,
  kModel,
  kNestedModel,
  kEffort,
  kCacheLifetime,
  kClientPaths,
};
constexpr std::array<SkimPath, kClientPaths> kClient = {{{"type"},
                                                         {"event_id"},
                                                         {"stream_id"},
                                                         {"generate"},
                                                         {"model"},
                                                         {"response.model"},
                                                         {"reasoning.effort"},
                                                         {"prompt_cache_options.ttl"}}};

// A stream's id as JSON text, number or string: only compared.
std::string stream_key(std::string_view json) {
  return json == "null" ? std::string() : std::string(json.substr(0, kMaxKey));
}

bool is_zero(const Usage& usage) {
  return usage.prompt_tokens() == 0 && usage.output_tokens == 0;
}

}  // namespace

SocketMeter::ServerPaths::ServerPaths(const Shape& shape)
    : all(shape.fields().begin(), shape.fields().end()) {
  const auto at = [this](std::string_view path) {
    const auto known = std::ranges::find(all, path, &SkimPath::path);
    const auto index = static_cast<size_t>(known - all.begin());
    if (known == all.end()) all.push_back({path});
    return index;
  };
  type = at("type");
  id = at("response.id");
  id_beside = at("response_id");
  stream_id = at("stream_id");
  error = at("error");
  status = at("status");
  status_code = at("status_code");
  headers = at("headers");
  usage = at("usage");
  session_model = at("session.model");
  transcription_model = at("session.audio.input.transcription.model");
  old_transcription_model = at("session.input_audio_transcription.model");
}

bool SocketMeter::reads(const Route& route) {
  return route.use == RouteUse::websocket &&
         (route.shape == WireShape::openai_responses || route.shape == WireShape::openai_realtime);
}

SocketMeter::SocketMeter(const Provider& provider, RouteMatch match, const ConnectionFacts& facts,
                         const Clock& clock, RecordSink& sink, const http::RequestHead& head)
    : provider_(provider),
      match_(std::move(match)),
      facts_(facts),
      clock_(clock),
      sink_(sink),
      realtime_(match_.route->shape == WireShape::openai_realtime),
      query_model_(clean_model(query_value(head.target, "model"))),
      paths_(*make_shape(match_.route->shape, provider)),
      client_(kClient),
      server_(paths_.all) {
  base_.provider = provider.id;
  base_.rate_namespace = provider.rate_namespace;
  base_.endpoint = match_.route->endpoint;
  base_.request_kind = match_.route->request_kind;
  base_.billing = billing_of(provider, head);
  base_.stream = true;
  base_.transport = "ws";
  base_.session_id = session_of(head);
  base_.client_retry = client_retry(head);
  if (facts.key_printer != nullptr) base_.key_print = facts.key_printer->print(api_key(head));
  const ClientName client = client_name(head);
  base_.attribution.client_name = client.name;
  base_.attribution.client_version = client.version;
}

void SocketMeter::response_head(const http::ResponseHead& head) {
  base_.http_status = head.status;
  base_.rate_limits = rate_limits(head, clock_.wall_us());
  header_model_ = clean_model(head.header("openai-model"));
  terms_ = http::websocket_terms(head);
}

bool SocketMeter::begin() {
  if (!terms_) return false;
  http::WebSocketEvents& events = *this;  // a private base: only visible here
  reader_ = std::make_unique<http::WebSocketReader>(*terms_, events);
  return true;
}

bool SocketMeter::feed(bool from_client, Bytes bytes) {
  return reader_ == nullptr || reader_->feed(from_client, bytes).has_value();
}

void SocketMeter::end(http::EndKind kind) {
  const bool by_client = closed_by_client_.value_or(kind == http::EndKind::client_abort);
  finish_all(by_client ? Ending::client_closed : Ending::origin_closed);
}

void SocketMeter::detach(const char* reason) {
  finish_all(Ending::detached, reason);
}

// --- messages ----------------------------------------------------------------------------------

void SocketMeter::on_message_begin(bool from_client) {
  (from_client ? client_ : server_).begin();
  if (!from_client) message_began_us_ = clock_.steady_us();
}

void SocketMeter::on_message_data(bool from_client, Bytes piece) {
  (from_client ? client_ : server_).feed(piece);
}

void SocketMeter::on_message_end(bool from_client, uint64_t wire_bytes) {
  const auto size = static_cast<int64_t>(wire_bytes);
  if (from_client) {
    loose_up_ += size;
    if (client_.end()) on_client_message();
  } else if (server_.end()) {
    on_server_message(size);
  } else {
    loose_down_ += size;
  }
}

void SocketMeter::on_close(bool from_client, std::optional<uint16_t> code) {
  if (!closed_by_client_) closed_by_client_ = from_client;
  if (!from_client) close_code_ = code;
}

void SocketMeter::on_client_message() {
  if (client_.text(kType) != "response.create") return;
  const std::string stream_id = stream_key(client_.field(kStreamId));
  // A turn that went wrong on its way and was never ended by the server is over by now.
  for (auto turn = turns_.begin(); turn != turns_.end();) {
    const auto next = std::next(turn);
    if (turn->draft.error.present && turn->stream_id == stream_id) finish(turn, Ending::told);
    turn = next;
  }
  const auto turn = add_turn();
  turn->stream_id = stream_id;
  turn->event_id = clean_word(client_.text(kEventId), kMaxKey);
  turn->warm_up = client_.field(kGenerate) == "false";
  RequestFacts& asked = turn->asked;
  asked.model = clean_model(client_.text(kModel));
  if (asked.model.empty()) asked.model = clean_model(client_.text(kNestedModel));
  if (!first_model_) first_model_ = asked.model;
  const std::string effort = client_.text(kEffort);
  asked.thinking = !effort.empty() && effort != "none";
  asked.cache_lifetime = clean_word(client_.text(kCacheLifetime), 16);
}

void SocketMeter::on_server_message(int64_t wire_bytes) {
  const std::string type = server_.text(paths_.type);
  if (realtime_ && type.starts_with("session.")) on_session();
  if (realtime_ && type == "conversation.item.input_audio_transcription.completed") {
    on_transcription();
  }
  auto turn = turns_.end();
  if (type == "error") {
    turn = pair_error();
  } else if (type.starts_with("response.")) {
    turn = pair();
  }
  if (turn == turns_.end()) {
    (turns_.empty() ? loose_down_ : turns_.front().bytes_down) += wire_bytes;
    return;
  }
  if (!turn->ttfb_us) {
    turn->ttfb_us = std::max<int64_t>(0, message_began_us_ - turn->start_us);
  }
  turn->bytes_down += wire_bytes;
  server_.tell(*turn->shape);
  turn->shape->on_document({}, turn->draft);
  turn->shape->clear_document();
  if (type == "error") return on_error(turn);
  if (turn->draft.terminal) finish(turn, Ending::told);
}

void SocketMeter::on_session() {
  const std::string model = clean_model(server_.text(paths_.session_model));
  if (!model.empty()) session_model_ = model;
  for (const size_t path : {paths_.transcription_model, paths_.old_transcription_model}) {
    const std::string transcriber = clean_model(server_.text(path));
    if (!transcriber.empty()) transcription_model_ = transcriber;
  }
}

void SocketMeter::on_transcription() {
  const JsonDocument document(server_.field(paths_.usage));
  // By the second of audio: no tokens, another way of charging.
  if (!document.root().get("input_tokens").figure()) {
    ++untold_transcriptions_;
    return counters::get("meter.transcription_untold").add();
  }
  Draft draft;
  ExtraUsage extra{"input_transcription", transcription_model_,
                   realtime_usage(document.root(), draft)};
  if (extras_.size() == kMaxExtras) push_left_extras();
  extras_.push_back(std::move(extra));
}

// An HTTP error wrapped into a frame ends its turn, and so does any error before the response
// began. Otherwise the server still says how the response ends, as in an event stream.
void SocketMeter::on_error(Turns::iterator turn) {
  for (const size_t path : {paths_.status, paths_.status_code}) {
    const auto status = JsonDocument(server_.field(path)).root().figure();
    if (status && *status >= 400 && *status < 600) turn->http_status = static_cast<int>(*status);
  }
  if (turn->http_status) {
    const JsonDocument document(server_.field(paths_.headers));
    http::ResponseHead head;
    for (const char* name : {"retry-after", "retry-after-ms"}) {
      const JsonView value = document.root().get(name);
      if (const auto text = value.text()) {
        head.headers.push_back({name, *text});
      } else if (const auto number = value.figure()) {
        head.headers.push_back({name, std::to_string(*number)});
      }
    }
    if (const auto wait = retry_after(head, clock_.wall_us())) {
      turn->draft.error.retry_after_s = wait;
    }
  }
  if (turn->http_status || turn->response_id.empty()) finish(turn, Ending::told);
}

// --- whose is it -------------------------------------------------------------------------------

SocketMeter::Turns::iterator SocketMeter::add_turn() {
  if (turns_.size() == kMaxTurns) {
    counters::get("meter.socket_turns_dropped").add();
    finish(turns_.begin(), Ending::detached, "observer_overload");
  }
  Turn& turn = turns_.emplace_back();
  turn.shape = make_shape(match_.route->shape, provider_);
  turn.requested_at_us = clock_.wall_us();
  turn.start_us = clock_.steady_us();
  turn.bytes_up = std::exchange(loose_up_, 0);
  turn.bytes_down = std::exchange(loose_down_, 0);
  return std::prev(turns_.end());
}

// By stream id, else by response id, else the oldest turn without one (5.6).
SocketMeter::Turns::iterator SocketMeter::pair() {
  const std::string stream_id = stream_key(server_.field(paths_.stream_id));
  std::string id = clean_word(server_.text(paths_.id), kMaxKey);
  if (id.empty()) id = clean_word(server_.text(paths_.id_beside), kMaxKey);
  if (!id.empty() && was_finished(id)) return turns_.end();

  const bool known =
      !stream_id.empty() && std::ranges::find(turns_, stream_id, &Turn::stream_id) != turns_.end();
  const auto candidate = [&](const Turn& turn) {
    if (known) return turn.stream_id == stream_id;
    return stream_id.empty() || turn.stream_id.empty();
  };
  if (id.empty()) {
    // Pieces of an answer belong to one that has begun.
    const auto begun = std::ranges::find_if(
        turns_, [&](const Turn& turn) { return candidate(turn) && !turn.response_id.empty(); });
    return begun != turns_.end() ? begun : std::ranges::find_if(turns_, candidate);
  }
  const auto same = std::ranges::find_if(
      turns_, [&](const Turn& turn) { return candidate(turn) && turn.response_id == id; });
  if (same != turns_.end()) return same;
  auto turn = std::ranges::find_if(
      turns_, [&](const Turn& other) { return candidate(other) && other.response_id.empty(); });
  if (turn == turns_.end()) {
    // Pieces alone make no turn.
    if (server_.field(paths_.id).empty()) return turns_.end();
    turn = add_turn();
    turn->orphan = true;
    turn->stream_id = stream_id;
  }
  turn->response_id = id;
  return turn;
}

SocketMeter::Turns::iterator SocketMeter::pair_error() {
  if (realtime_) {
    // Most errors of a session are about something else than a response.
    const JsonDocument error(server_.field(paths_.error));
    const std::string event_id = error.root().get("event_id").text().value_or("");
    return std::ranges::find_if(turns_, [&](const Turn& turn) {
      return !turn.orphan && turn.response_id.empty() && turn.event_id == event_id;
    });
  }
  const std::string stream_id = stream_key(server_.field(paths_.stream_id));
  const auto candidate = [&](const Turn& turn) {
    return stream_id.empty() || turn.stream_id.empty() || turn.stream_id == stream_id;
  };
  const auto waiting = std::ranges::find_if(
      turns_, [&](const Turn& turn) { return candidate(turn) && turn.response_id.empty(); });
  return waiting != turns_.end() ? waiting : std::ranges::find_if(turns_, candidate);
}

bool SocketMeter::was_finished(const std::string& response_id) const {
  return std::ranges::find(finished_ids_, response_id) != finished_ids_.end();
}

// --- records -----------------------------------------------------------------------------------

void SocketMeter::finish_all(Ending ending, const char* reason) {
  while (!turns_.empty()) finish(turns_.begin(), ending, reason);
  push_left_extras();
}

void SocketMeter::finish(Turns::iterator at, Ending ending, const char* reason) {
  Turn turn = std::move(*at);
  turns_.erase(at);
  if (!turn.response_id.empty()) {
    if (finished_ids_.size() == kMaxFinished) finished_ids_.pop_front();
    finished_ids_.push_back(turn.response_id);
  }
  turn.shape->finish(turn.draft);
  if (turn.warm_up && is_zero(turn.draft.usage)) return;
  // What nobody asked for is a call only if it has used something; a session answers by itself.
  if (turn.orphan && !realtime_ && !turn.draft.usage_seen) return;

  CallRecord record = make_record(turn);
  settle(record, turn, ending, reason);
  fill_from_draft(record, std::move(turn.draft), turn.asked, match_.route->shape);
  if (turn.http_status) record.usage = {};
  if (record.response_id.empty()) record.response_id = turn.response_id;
  for (ExtraUsage& extra : extras_) record.extra_usage.push_back(std::move(extra));
  extras_.clear();
  add_untold(record);
  push(std::move(record));
}

// Charged beside the tokens, and not in any figure: the price says so.
void SocketMeter::add_untold(CallRecord& record) {
  if (const int64_t count = std::exchange(untold_transcriptions_, 0); count > 0)
    record.tool_calls.push_back({"transcription", count});
}

// Transcriptions of a session that had no further response.
void SocketMeter::push_left_extras() {
  if (extras_.empty() && untold_transcriptions_ == 0) return;
  Turn turn;
  turn.requested_at_us = clock_.wall_us();
  turn.start_us = clock_.steady_us();
  CallRecord record = make_record(turn);
  if (record.model.empty()) record.model = transcription_model_;
  record.mode = "streaming";
  record.tokens_complete = !extras_.empty();
  if (extras_.empty()) {
    record.incomplete_reason = "no_usage_in_response";
    record.bucket_doubt = "per_minute";
  }
  record.extra_usage = std::exchange(extras_, {});
  add_untold(record);
  push(std::move(record));
}

CallRecord SocketMeter::make_record(const Turn& turn) const {
  CallRecord record = base_;
  record.id = ordered_uuid();
  record.call_id = facts_.call_id;
  record.host = facts_.host;
  record.geo = region_of(facts_.host);
  record.requested_at_us = turn.requested_at_us;
  record.duration_us = clock_.steady_us() - turn.start_us;
  record.ttfb_us = turn.ttfb_us;
  record.bytes_up = turn.bytes_up;
  record.bytes_down = turn.bytes_down;
  record.requested_model = turn.asked.model.empty() ? query_model_ : turn.asked.model;
  record.model = model_of(turn);
  fill_attribution(record, facts_.attribution);
  return record;
}

std::string SocketMeter::model_of(const Turn& turn) const {
  if (!turn.draft.model.empty()) return turn.draft.model;
  if (realtime_) return session_model_.empty() ? query_model_ : session_model_;
  const std::string& asked = turn.asked.model;
  // Codex: a request that was routed elsewhere shows in the header (6.3), which speaks of the
  // model that the socket began with.
  const bool header_first = provider_.billing == BillingRule::subscription && asked == first_model_;
  if (header_first && !header_model_.empty()) return header_model_;
  return asked.empty() ? header_model_ : asked;
}

void SocketMeter::settle(CallRecord& record, const Turn& turn, Ending ending,
                         const char* reason) const {
  const Draft& draft = turn.draft;
  if (turn.http_status) {
    record.http_status = turn.http_status;
    fill_error(record, draft.error, classify_error(draft.error, turn.http_status),
               turn.http_status);
    record.tokens_complete = true;  // nothing was billed
    return;
  }
  if (draft.error.present) {
    const std::optional<int> own = draft.error.status;
    fill_error(record, draft.error, classify_error(draft.error, own), own);
    record.tokens_complete = draft.final_usage;
    if (!draft.final_usage) record.incomplete_reason = "stream_error";
    return;
  }
  switch (ending) {
    case Ending::told:
      record.tokens_complete = draft.usage_seen;
      if (!draft.usage_seen) record.incomplete_reason = "no_usage_in_response";
      return;
    case Ending::client_closed:
      record.status = CallStatus::cancelled;
      record.incomplete_reason = "client_abort";
      return;
    case Ending::origin_closed:
      fill_error(record, draft.error, "network", std::nullopt);
      if (close_code_) record.provider_error_code = "close_" + std::to_string(*close_code_);
      record.status = CallStatus::truncated;
      record.incomplete_reason = "truncated";
      return;
    case Ending::detached:
      record.incomplete_reason = reason;
      return;
  }
}

void SocketMeter::push(CallRecord&& record) {
  base_.rate_limits.clear();  // told once per socket
  if (!sink_.push(std::move(record))) counters::get("meter.record_refused").add();
}

}  // namespace hm::meter
