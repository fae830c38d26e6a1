#include "tests/unit/meter/socket_support.h"

#include <stdexcept>

#include "tests/support/websocket_encode.h"

namespace hm::test {

KeptRecords meter_socket(const Socket& socket, const SocketForm& form, const Split& split) {
  const meter::Provider* provider = meter::provider_for_host(socket.host);
  if (provider == nullptr) throw std::runtime_error("no provider for " + socket.host);
  KeptRecords kept;
  ManualClock clock;
  meter::ConnectionFacts facts;
  facts.host = socket.host;
  facts.call_id = "c1";
  meter::ConnectionMeter meter(*provider, facts, clock, kept);
  constexpr http::ExchangeId kId = 1;
  http::RequestHead request{"GET", socket.target, socket.host, "1.1", socket.request_headers};
  http::ResponseHead response{101, "1.1", socket.response_headers};
  if (socket.extended_connect) {
    request.method = "CONNECT";
    request.version = response.version = "2";
    request.headers.push_back({":protocol", "websocket"});
    response.status = 200;
  } else {
    request.headers.push_back({"upgrade", "websocket"});
  }
  if (form.deflate) {
    const std::string takeover =
        form.keeps_context ? "" : "; client_no_context_takeover; server_no_context_takeover";
    response.headers.push_back({"sec-websocket-extensions", "permessage-deflate" + takeover});
  }
  meter.on_request_head(kId, request);
  meter.on_request_end(kId);
  meter.on_response_head(kId, response);
  meter.on_upgrade(kId);

  MessageDeflate up(form.keeps_context);
  MessageDeflate down(form.keeps_context);
  for (size_t i = 0; i < socket.lines.size();) {
    // Messages of one direction in a row may share pieces.
    const bool from_client = socket.lines[i].from_client;
    std::string wire;
    for (; i < socket.lines.size() && socket.lines[i].from_client == from_client; ++i) {
      const SocketLine& line = socket.lines[i];
      if (line.raw) {
        wire += line.text;
        continue;
      }
      const std::string payload =
          form.deflate ? (from_client ? up : down).message(line.text) : line.text;
      wire += message_frames(payload, from_client, form.deflate, form.fragments);
    }
    clock.advance_us(1000);
    feed_split(as_bytes(wire), split,
               [&](Bytes piece) { meter.on_upgraded_bytes(kId, from_client, piece); });
  }
  clock.advance_us(1000);
  meter.on_exchange_end(kId, socket.end);
  if (meter.open_calls() != 0) throw std::runtime_error("a turn stayed open");
  return kept;
}

}  // namespace hm::test
