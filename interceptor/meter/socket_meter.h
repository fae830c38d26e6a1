// One WebSocket of OpenAI's kind in, one CallRecord per turn out: the Responses API over WebSocket
// (api.openai.com, api.x.ai), Codex (chatgpt.com) and Realtime. `providers.md` 2.6, 5.5, 5.6, 6.2,
// 6.3. A record is pushed when its turn ends, in the order in which turns end.
//
// Times: requested_at and duration count from the client's create message (its last byte), or from
// the server's first event for a turn that nobody asked for. Bytes: frames as on the wire. Those of
// messages that belong to no turn (audio, session set-up) are counted with the next one.
//
// Lives on the relay loop, owned by the ConnectionMeter. The references given must outlive it.
// Kept: the facts of at most kMaxTurns open turns, and what SocketMessage keeps per direction.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "interceptor/call_record.h"
#include "interceptor/http/exchange.h"
#include "interceptor/http/websocket.h"
#include "interceptor/meter/connection_meter.h"
#include "interceptor/meter/provider.h"
#include "interceptor/meter/request_reader.h"
#include "interceptor/meter/shape.h"
#include "interceptor/meter/socket_message.h"

namespace hm::meter {

class SocketMeter final : private http::WebSocketEvents {
 public:
  static constexpr size_t kMaxTurns = 64;
  static constexpr size_t kMaxExtras = 64;

  // Is there a reader for this route's messages?
  [[nodiscard]] static bool reads(const Route& route);

  SocketMeter(const Provider& provider, RouteMatch match, const ConnectionFacts& facts,
              const Clock& clock, RecordSink& sink, const http::RequestHead& head);
  SocketMeter(const SocketMeter&) = delete;
  SocketMeter& operator=(const SocketMeter&) = delete;

  void response_head(const http::ResponseHead& head);
  // The answer was yes. False: its extensions cannot be read, nothing may be fed.
  [[nodiscard]] bool begin();
  // False: the frames are no frames. Nothing may be fed afterwards.
  [[nodiscard]] bool feed(bool from_client, Bytes bytes);

  // Open turns are written as they stand. Nothing may be told afterwards.
  void end(http::EndKind kind);
  void detach(const char* reason);

  [[nodiscard]] size_t open_turns() const { return turns_.size(); }
  [[nodiscard]] std::string_view endpoint() const { return match_.route->endpoint; }

 private:
  struct Turn {
    std::string stream_id;
    std::string response_id;
    std::string event_id;  // of the create message (Realtime)
    RequestFacts asked;
    bool warm_up = false;
    bool orphan = false;  // nobody asked for it
    std::unique_ptr<Shape> shape;
    Draft draft;
    std::optional<int> http_status;  // of an error wrapped into a frame
    int64_t requested_at_us = 0;     // wall
    int64_t start_us = 0;            // steady
    std::optional<int64_t> ttfb_us;
    int64_t bytes_up = 0;
    int64_t bytes_down = 0;
  };
  using Turns = std::list<Turn>;  // in order of their beginning
  // Where in the table of the server's messages a path is.
  struct ServerPaths {
    explicit ServerPaths(const Shape& shape);
    std::vector<SkimPath> all;  // the shape's own come first
    size_t type, id, id_beside, stream_id, error, status, status_code, headers, usage;
    size_t session_model, transcription_model, old_transcription_model;
  };
  enum class Ending : uint8_t { told, client_closed, origin_closed, detached };

  void on_message_begin(bool from_client) override;
  void on_message_data(bool from_client, Bytes piece) override;
  void on_message_end(bool from_client, uint64_t wire_bytes) override;
  void on_close(bool from_client, std::optional<uint16_t> code) override;

  void on_client_message();
  void on_server_message(int64_t wire_bytes);
  void on_session();
  void on_transcription();
  void on_error(Turns::iterator turn);

  Turns::iterator add_turn();
  Turns::iterator pair();
  Turns::iterator pair_error();
  [[nodiscard]] bool was_finished(const std::string& response_id) const;

  void finish(Turns::iterator turn, Ending ending, const char* reason = nullptr);
  void finish_all(Ending ending, const char* reason = nullptr);
  void push_left_extras();
  void add_untold(CallRecord& record);
  [[nodiscard]] CallRecord make_record(const Turn& turn) const;
  void settle(CallRecord& record, const Turn& turn, Ending ending, const char* reason) const;
  [[nodiscard]] std::string model_of(const Turn& turn) const;
  void push(CallRecord&& record);

  const Provider& provider_;
  const RouteMatch match_;
  const ConnectionFacts& facts_;
  const Clock& clock_;
  RecordSink& sink_;
  const bool realtime_;

  CallRecord base_;  // what the handshake told
  std::string query_model_;
  std::string header_model_;                // `openai-model` of the handshake
  std::optional<std::string> first_model_;  // asked for by the socket's first turn
  std::string session_model_;
  std::string transcription_model_;
  Result<http::WebSocketTerms> terms_;
  std::unique_ptr<http::WebSocketReader> reader_;
  const ServerPaths paths_;
  SocketMessage client_;
  SocketMessage server_;

  Turns turns_;
  std::deque<std::string> finished_ids_;
  std::vector<ExtraUsage> extras_;     // of the session, for the next record
  int64_t untold_transcriptions_ = 0;  // charged by the minute; the same
  int64_t message_began_us_ = 0;       // server's, steady
  int64_t loose_up_ = 0;               // bytes of messages that belong to no turn so far
  int64_t loose_down_ = 0;
  std::optional<bool> closed_by_client_;  // who sent the first close frame
  std::optional<uint16_t> close_code_;    // the origin's
};

}  // namespace hm::meter
