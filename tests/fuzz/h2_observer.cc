// The input is a list of frames: who sends (bit 0 of the first byte), how the frame is cut (bit 1),
// type, flags, stream, length, payload; a first byte from 0xfc on ends a side. Greetings are in
// front, unless the input's first byte is odd. The observer must keep its promises about order:
// each exchange has one head, one end, nothing behind the end; and cutting must not change what it
// says.
#include "interceptor/http/h2_observer.h"

#include <algorithm>
#include <string>

#include "tests/fuzz/exchange_judge.h"
#include "tests/support/h2_wire.h"

namespace {

namespace h2 = hm::test::h2;

using hm::fuzz::require;

constexpr size_t kMaxStreams = 4;

// HTTP/2 knows no 101 (RFC 9113 8.6), and its CONNECT has no body.
class Judge final : public hm::fuzz::ExchangeJudge {
 public:
  Judge() : ExchangeJudge(kMaxStreams) {}
  void on_response_head(hm::http::ExchangeId id, const hm::http::ResponseHead& head) override {
    require(head.status != 101);
    ExchangeJudge::on_response_head(id, head);
  }
  void on_upgrade(hm::http::ExchangeId id) override {
    require(at(id).request_ended);
    ExchangeJudge::on_upgrade(id);
  }
};

class Player {
 public:
  explicit Player(bool cut) : cut_(cut) {}

  void send(bool from_client, bool in_bytes, std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t step = cut_ && in_bytes ? 1 : bytes.size();
      const std::string exact(bytes.substr(0, step));  // a sanitizer sees any read past its end
      const auto result = from_client ? observer.from_client(hm::as_bytes(exact))
                                      : observer.from_origin(hm::as_bytes(exact));
      if (!result && !failed) judge.failed(result.error().code);
      require(!failed || !result);
      failed = !result;
      bytes.remove_prefix(step);
    }
  }

  Judge judge;
  hm::http::H2Observer observer{judge, {.max_head = 400, .max_streams = kMaxStreams}};
  bool failed = false;

 private:
  const bool cut_;
};

std::string play(hm::Bytes input, bool cut) {
  Player player(cut);
  if (!input.empty()) {
    if (input.front() % 2 == 0) {
      player.send(true, true, h2::kPreface + h2::settings());
      player.send(false, true, h2::settings({{1, 8192}}));
    }
    input = input.subspan(1);
  }
  while (input.size() >= 5) {
    const uint8_t order = input[0];
    if (order >= 0xfc) {
      input = input.subspan(1);
      order % 2 == 0 ? player.observer.client_ended(order < 0xfe)
                     : player.observer.origin_ended(order < 0xfe);
      continue;
    }
    const auto type = static_cast<uint8_t>(input[1] % 12);
    const uint8_t flags = input[2];
    const uint32_t stream = input[3] % 12;
    const size_t size = std::min<size_t>(input[4], input.size() - 5);
    const std::string frame = h2::frame(type, flags, stream, hm::as_text(input.subspan(5, size)));
    input = input.subspan(5 + size);
    player.send(order % 2 == 0, (order & 2) != 0, frame);
  }
  player.send(true, true, hm::as_text(input));
  player.observer.client_ended(true);
  player.observer.origin_ended(true);
  require(player.failed || player.judge.all_ended());
  return player.judge.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const hm::Bytes bytes(data, size);
  require(play(bytes, false) == play(bytes, true));
  return 0;
}
