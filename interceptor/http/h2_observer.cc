// Per direction: frames --> header blocks --> inflater --> head; both meet at the table of streams.
//
//   stream:  request head --> open --> response head --> body --> ended (forgotten)
//                                           '--> upgraded (2xx to CONNECT) --> ended
//
// A stream that is not in the table is over, was never wanted, or is a pushed one: what comes for
// it is read past. Only what belongs to a stream the client has never opened is an error.
#include "interceptor/http/h2_observer.h"

#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/base/counters.h"
#include "interceptor/http/h2_frames.h"
#include "interceptor/http/h2_head.h"
#include "interceptor/http/hpack.h"

namespace hm::http {
namespace {

constexpr uint16_t kHeaderTableSize = 0x1;  // SETTINGS, RFC 9113 6.5.2

std::optional<uint64_t> content_length(const ResponseHead& head) {
  const std::string_view text = head.header("content-length");
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

}  // namespace

struct H2Observer::Parts {
  using From = H2Frames::From;

  struct Direction final : H2FrameEvents {
    Direction(Parts& owner, From side, const H2Limits& limits)
        : parts(owner),
          from(side),
          frames(side, *this),
          inflater(limits.max_table),
          head(limits.max_head) {}

    Result<void> on_block_begin(StreamId stream, StreamId promised, bool end_stream) override;
    Result<void> on_block_fragment(Bytes fragment) override;
    Result<void> on_block_end() override;
    Result<void> on_data(StreamId stream, Bytes data) override;
    Result<void> on_data_end(StreamId stream) override;
    Result<void> on_rst_stream(StreamId stream, uint32_t code) override;
    void on_setting(uint16_t id, uint32_t value) override;
    void on_goaway(StreamId last_stream, uint32_t code) override;

    Parts& parts;
    const From from;
    H2Frames frames;
    HpackInflater inflater;
    H2Head head;
    StreamId block_stream = 0;  // 0: a block that is not wanted
    bool block_opens_stream = false;
    bool block_ends_stream = false;
    bool ended = false;
  };

  struct Stream {
    ExchangeId id = 0;
    bool is_head = false;
    bool is_connect = false;
    bool request_ended = false;
    bool answered = false;  // the final head was told
    bool upgraded = false;
    bool client_done = false;           // END_STREAM of the client's, upgraded or not
    std::optional<uint64_t> announced;  // content-length of the response
    uint64_t received = 0;
    std::string held;  // from the client, for CONNECT before its answer
  };

  Parts(ExchangeEvents& event_sink, const H2Limits& bounds)
      : events(event_sink),
        limits(bounds),
        client(*this, From::client, bounds),
        origin(*this, From::origin, bounds) {}

  Stream* find(StreamId stream) {
    const auto found = streams.find(stream);
    return found == streams.end() ? nullptr : &found->second;
  }
  // A stream of the client's that it has not opened (RFC 9113 5.1.1).
  [[nodiscard]] bool is_idle(StreamId stream) const {
    return stream % 2 != 0 && stream > last_stream;
  }

  Result<void> feed(Direction& direction, Bytes bytes);
  Result<void> on_request_block(StreamId stream, bool end_stream);
  void open(StreamId stream, bool end_stream);
  void end_request(Stream& stream);
  Result<void> on_request_data(Stream& stream, Bytes data);
  Result<void> on_response_block(StreamId id, Stream& stream, bool end_stream);
  void on_final_head(Stream& stream, const ResponseHead& head);
  void on_response_data(Stream& stream, Bytes data);
  void end_response(StreamId id, const Stream& stream);
  void end(StreamId id, EndKind kind);
  void end_all(EndKind kind, EndKind upgraded_kind);

  ExchangeEvents& events;
  const H2Limits limits;
  Direction client;
  Direction origin;
  std::map<StreamId, Stream> streams;  // whose exchange is told and not ended
  StreamId last_stream = 0;            // the highest that the client has opened
  std::optional<StreamId> goaway_last;
  ExchangeId last_id = 0;
  size_t held = 0;  // bytes, of all streams
  Error error;
  bool failed = false;
};

// --- one direction -----------------------------------------------------------------------------

Result<void> H2Observer::Parts::Direction::on_block_begin(StreamId stream, StreamId promised,
                                                          bool end_stream) {
  const bool is_client = from == From::client;
  if (is_client && stream % 2 == 0) return fail(Code::malformed, "h2.stream_id");
  if (!is_client && parts.is_idle(stream)) return fail(Code::malformed, "h2.unasked_response");
  block_opens_stream = is_client && parts.is_idle(stream);
  if (block_opens_stream) parts.last_stream = stream;
  const bool wanted = promised == 0 && (block_opens_stream || parts.find(stream) != nullptr);
  block_stream = wanted ? stream : 0;
  block_ends_stream = end_stream;
  head.begin(wanted);
  inflater.begin_block();
  return {};
}

Result<void> H2Observer::Parts::Direction::on_block_fragment(Bytes fragment) {
  const auto inflated = inflater.feed(fragment, head);
  if (head.too_large()) return fail(Code::too_large, "h2.head");  // whatever comes behind
  return inflated;
}

Result<void> H2Observer::Parts::Direction::on_block_end() {
  if (const auto inflated = inflater.end_block(head); !inflated) return inflated;
  if (block_stream == 0) return {};
  if (from == From::client) return parts.on_request_block(block_stream, block_ends_stream);
  Stream* stream = parts.find(block_stream);
  if (stream == nullptr) return {};  // it ended while its block was under way
  return parts.on_response_block(block_stream, *stream, block_ends_stream);
}

Result<void> H2Observer::Parts::Direction::on_data(StreamId stream, Bytes data) {
  if (parts.is_idle(stream)) return fail(Code::malformed, "h2.idle_data");
  Stream* found = parts.find(stream);
  if (found == nullptr) return {};
  if (from == From::client) return parts.on_request_data(*found, data);
  parts.on_response_data(*found, data);
  return {};
}

Result<void> H2Observer::Parts::Direction::on_data_end(StreamId stream) {
  if (parts.is_idle(stream)) return fail(Code::malformed, "h2.idle_data");
  Stream* found = parts.find(stream);
  if (found == nullptr) return {};
  if (from == From::client) {
    found->client_done = true;
    parts.end_request(*found);
  } else {
    parts.end_response(stream, *found);
  }
  return {};
}

Result<void> H2Observer::Parts::Direction::on_rst_stream(StreamId stream, uint32_t) {
  if (parts.is_idle(stream)) return fail(Code::malformed, "h2.idle_reset");
  if (parts.find(stream) != nullptr) {
    parts.end(stream, from == From::client ? EndKind::client_abort : EndKind::reset);
  }
  return {};
}

// What one side announces is the limit of what the other compresses.
void H2Observer::Parts::Direction::on_setting(uint16_t id, uint32_t value) {
  if (id != kHeaderTableSize) return;
  (from == From::client ? parts.origin : parts.client).inflater.allow_table(value);
}

void H2Observer::Parts::Direction::on_goaway(StreamId last, uint32_t) {
  if (from == From::client) return;  // speaks of pushed streams
  if (!parts.goaway_last || last < *parts.goaway_last) parts.goaway_last = last;
  while (!parts.streams.empty() && parts.streams.rbegin()->first > last) {
    parts.end(parts.streams.rbegin()->first, EndKind::reset);
  }
}

// --- requests ----------------------------------------------------------------------------------

Result<void> H2Observer::Parts::on_request_block(StreamId id, bool end_stream) {
  if (client.block_opens_stream) {
    open(id, end_stream);
    return {};
  }
  // Trailers of a request are not told.
  if (Stream* stream = find(id); stream != nullptr && end_stream) end_request(*stream);
  return {};
}

void H2Observer::Parts::open(StreamId id, bool end_stream) {
  if (goaway_last && id > *goaway_last) return;  // it crossed the GOAWAY: nobody will answer it
  if (streams.size() >= limits.max_streams) return counters::get("h2.streams_ignored").add();
  const auto head = client.head.take_request();
  if (!head) return counters::get("h2.malformed_requests").add();

  Stream& stream = streams[id];
  stream.id = ++last_id;
  stream.is_head = head->method == "HEAD";
  stream.is_connect = head->method == "CONNECT";
  events.on_request_head(stream.id, *head);
  // A CONNECT has no body: what the client sends later is of the other protocol.
  if (end_stream || stream.is_connect) end_request(stream);
}

void H2Observer::Parts::end_request(Stream& stream) {
  if (!std::exchange(stream.request_ended, true)) events.on_request_end(stream.id);
}

Result<void> H2Observer::Parts::on_request_data(Stream& stream, Bytes data) {
  if (stream.upgraded) {
    events.on_upgraded_bytes(stream.id, true, data);
  } else if (stream.is_connect) {
    if (data.size() > limits.max_head - held) return fail(Code::too_large, "h2.before_upgrade");
    held += data.size();
    stream.held.append(as_text(data));
  } else if (!stream.request_ended) {
    events.on_request_body(stream.id, data);
  }
  return {};
}

// --- responses ---------------------------------------------------------------------------------

Result<void> H2Observer::Parts::on_response_block(StreamId id, Stream& stream, bool end_stream) {
  if (stream.answered) {
    // Trailers; without END_STREAM they are none, and what they were is for the client to judge.
    if (end_stream && !stream.upgraded) {
      if (const auto trailers = origin.head.take_fields(); !trailers.empty()) {
        events.on_trailers(stream.id, trailers);
      }
    }
  } else if (const auto head = origin.head.take_response(); !head || head->status == 101) {
    end(id, EndKind::eof_early);  // malformed (RFC 9113 8.1.1, 8.6): it can have no answer any more
    return {};
  } else if (head->status < 200) {
    events.on_interim(stream.id, head->status);
  } else {
    on_final_head(stream, *head);
  }
  if (end_stream) end_response(id, stream);
  return {};
}

void H2Observer::Parts::on_final_head(Stream& stream, const ResponseHead& head) {
  stream.answered = true;
  const bool bodiless = stream.is_head || head.status == 204 || head.status == 304;
  if (!bodiless) stream.announced = content_length(head);
  events.on_response_head(stream.id, head);

  const std::string first = std::exchange(stream.held, {});
  held -= first.size();
  if (!stream.is_connect) return;
  if (head.status >= 300) {
    stream.is_connect = false;  // refused: an exchange like any other, whose request is over
    return;
  }
  stream.upgraded = true;
  stream.announced.reset();
  events.on_upgrade(stream.id);
  if (!first.empty()) events.on_upgraded_bytes(stream.id, true, as_bytes(first));
}

void H2Observer::Parts::on_response_data(Stream& stream, Bytes data) {
  if (!stream.answered || stream.is_head) return;
  if (stream.upgraded) return events.on_upgraded_bytes(stream.id, false, data);
  stream.received += data.size();
  events.on_response_body(stream.id, data);
}

void H2Observer::Parts::end_response(StreamId id, const Stream& stream) {
  if (stream.upgraded)
    return end(id, stream.client_done ? EndKind::client_abort : EndKind::complete);
  const bool whole = stream.answered && (!stream.announced || *stream.announced == stream.received);
  end(id, whole ? EndKind::complete : EndKind::eof_early);
}

// --- ends --------------------------------------------------------------------------------------

void H2Observer::Parts::end(StreamId id, EndKind kind) {
  const auto found = streams.find(id);
  const ExchangeId exchange = found->second.id;
  held -= found->second.held.size();
  streams.erase(found);
  events.on_exchange_end(exchange, kind);
}

void H2Observer::Parts::end_all(EndKind kind, EndKind upgraded_kind) {
  while (!streams.empty()) {
    const auto& [id, stream] = *streams.begin();
    end(id, stream.upgraded ? upgraded_kind : kind);
  }
}

Result<void> H2Observer::Parts::feed(Direction& direction, Bytes bytes) {
  if (failed) return std::unexpected(error);
  const auto result = direction.frames.feed(bytes);
  if (!result) {
    failed = true;
    error = result.error();
  }
  return result;
}

H2Observer::H2Observer(ExchangeEvents& events, const H2Limits& limits)
    : parts_(std::make_unique<Parts>(events, limits)) {}

H2Observer::~H2Observer() = default;

bool H2Observer::mid_message() const {
  return !parts_->client.frames.between_frames();
}

Result<void> H2Observer::from_client(Bytes bytes) {
  Parts& p = *parts_;
  // After the origin's end nothing can be answered any more.
  if (!p.failed && (p.client.ended || p.origin.ended)) return {};
  return p.feed(p.client, bytes);
}

Result<void> H2Observer::from_origin(Bytes bytes) {
  Parts& p = *parts_;
  if (!p.failed && p.origin.ended) return {};
  return p.feed(p.origin, bytes);
}

// An orderly end decides nothing yet, as with HTTP/1.1: the origin's answers may still come.
void H2Observer::client_ended(bool orderly) {
  Parts& p = *parts_;
  if (p.failed || p.client.ended) return;
  p.client.ended = true;
  if (!orderly) {
    p.origin.ended = true;
    p.end_all(EndKind::client_abort, EndKind::client_abort);
  }
}

void H2Observer::origin_ended(bool orderly) {
  Parts& p = *parts_;
  if (p.failed || p.origin.ended) return;
  p.origin.ended = true;
  const EndKind early = orderly ? EndKind::eof_early : EndKind::reset;
  const EndKind upgraded = orderly ? EndKind::complete : EndKind::reset;
  p.end_all(p.client.ended ? EndKind::client_abort : early,
            p.client.ended ? EndKind::client_abort : upgraded);
}

}  // namespace hm::http
