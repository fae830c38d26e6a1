// The first byte says what the handshake agreed to; the rest is a schedule: a byte says who speaks
// (bit 0) and how long the piece is (the other bits), then come its bytes. The reader must keep its
// promises about order, and cutting the pieces further must not change what it says. The same bytes
// go through a meter, whose records must be consistent.
#include "interceptor/http/websocket.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "interceptor/meter/connection_meter.h"

namespace {

using hm::Bytes;

void require(bool condition) {
  if (!condition) std::abort();
}

class Judge final : public hm::http::WebSocketEvents {
 public:
  void on_message_begin(bool from_client) override {
    Side& side = sides_[from_client ? 1 : 0];
    require(!side.in_message && !side.closed);
    side.in_message = true;
    side.said += "begin ";
  }
  void on_message_data(bool from_client, Bytes piece) override {
    Side& side = sides_[from_client ? 1 : 0];
    require(side.in_message && !piece.empty());
    for (const uint8_t byte : piece) side.sum = side.sum * 31 + byte;
    side.size += piece.size();
  }
  void on_message_end(bool from_client, uint64_t wire_bytes) override {
    Side& side = sides_[from_client ? 1 : 0];
    require(side.in_message && wire_bytes >= 2);
    side.in_message = false;
    side.said += std::to_string(side.size) + "/" + std::to_string(side.sum) + " end " +
                 std::to_string(wire_bytes) + "\n";
  }
  void on_close(bool from_client, std::optional<uint16_t> code) override {
    Side& side = sides_[from_client ? 1 : 0];
    require(!side.closed);
    side.closed = true;
    side.said += "close " + std::to_string(code.value_or(0)) + "\n";
  }
  [[nodiscard]] std::string said() const { return sides_[0].said + "|" + sides_[1].said; }

 private:
  struct Side {
    bool in_message = false;
    bool closed = false;
    uint64_t size = 0;
    uint64_t sum = 0;
    std::string said;
  };
  std::array<Side, 2> sides_;
};

struct Piece {
  bool from_client;
  std::vector<uint8_t> bytes;
};

std::string read(const hm::http::WebSocketTerms& terms, const std::vector<Piece>& pieces,
                 size_t step) {
  Judge judge;
  // A small budget, which is reached at the same byte however the input is cut.
  hm::http::WebSocketReader reader(terms, judge, {1 << 20, 1000000, 1 << 20});
  bool failed = false;
  for (const Piece& piece : pieces) {
    for (size_t at = 0; at < piece.bytes.size(); at += step) {
      const size_t size = std::min(step, piece.bytes.size() - at);
      const std::vector<uint8_t> copy(piece.bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                      piece.bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
      const bool ok = reader.feed(piece.from_client, copy).has_value();
      require(!failed || !ok);
      failed = !ok;
    }
  }
  return judge.said() + (failed ? "failed" : "");
}

struct Checked final : hm::RecordSink {
  bool push(hm::CallRecord&& record) noexcept override {
    require(record.transport == "ws" && record.id.size() == 36 && record.bytes_up >= 0 &&
            record.bytes_down >= 0 && record.duration_us >= 0 &&
            record.tokens_complete == record.incomplete_reason.empty() &&
            record.error_kind.empty() == record.error_class.empty());
    return true;
  }
  bool push(hm::MissRecord&& record) noexcept override {
    require(record.reason == "observer_lost");
    return true;
  }
};

void meter(const hm::http::WebSocketTerms& terms, const std::vector<Piece>& pieces, bool realtime) {
  Checked sink;
  hm::ManualClock clock;
  hm::meter::ConnectionFacts facts;
  facts.host = "api.openai.com";
  hm::meter::ConnectionMeter meter(*hm::meter::provider_for_host(facts.host), facts, clock, sink);
  hm::http::ResponseHead answer{101, "1.1", {}};
  if (terms.deflate) answer.headers.push_back({"sec-websocket-extensions", "permessage-deflate"});
  meter.on_request_head(1, {"GET",
                            realtime ? "/v1/realtime?model=m" : "/v1/responses",
                            "",
                            "1.1",
                            {{"upgrade", "websocket"}}});
  meter.on_response_head(1, answer);
  meter.on_upgrade(1);
  for (const Piece& piece : pieces) meter.on_upgraded_bytes(1, piece.from_client, piece.bytes);
  meter.on_exchange_end(1, hm::http::EndKind::complete);
  require(meter.open_calls() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const hm::http::WebSocketTerms terms{(data[0] & 1U) != 0, (data[0] & 2U) != 0,
                                       (data[0] & 4U) != 0};
  const bool realtime = (data[0] & 8U) != 0;
  std::vector<Piece> pieces;
  for (size_t at = 1; at < size;) {
    const bool from_client = (data[at] & 1U) != 0;
    const size_t length = std::min<size_t>(data[at] >> 1U, size - at - 1);
    pieces.push_back({from_client, {data + at + 1, data + at + 1 + length}});
    at += 1 + length;
  }
  const std::string whole = read(terms, pieces, 1 << 20);
  const std::string cut = read(terms, pieces, 1);
  require(whole.ends_with("failed") == cut.ends_with("failed"));
  // What is inflated before an error depends on the cut.
  if (!whole.ends_with("failed")) require(whole == cut);
  meter(terms, pieces, realtime);
  return 0;
}
