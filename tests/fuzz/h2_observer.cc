// The input is a list of frames: who sends (bit 0 of the first byte), how the frame is cut (bit 1),
// type, flags, stream, length, payload; a first byte from 0xfc on ends a side. Greetings are in
// front, unless the input's first byte is odd. The observer must keep its promises about order:
// each exchange has one head, one end, nothing behind the end; and cutting must not change what it
// says.
#include "interceptor/http/h2_observer.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "tests/support/h2_wire.h"

namespace {

namespace h2 = hm::test::h2;

void require(bool condition) {
  if (!condition) abort();
}

constexpr size_t kMaxStreams = 4;

class Judge final : public hm::http::ExchangeEvents {
 public:
  void on_request_head(hm::http::ExchangeId id, const hm::http::RequestHead& head) override {
    require(id == last_ + 1 && open_.size() < kMaxStreams);
    require(!head.method.empty() && !head.target.empty());
    last_ = id;
    open_[id] = {};
    std::string all = "head " + head.method + " " + head.target;
    for (const auto& header : head.headers) all += " " + header.name + "=" + header.value;
    say(id, all);
  }
  void on_request_body(hm::http::ExchangeId id, hm::Bytes body) override {
    require(!at(id).request_ended);
    add(id, "q", body);
  }
  void on_request_end(hm::http::ExchangeId id) override {
    require(!std::exchange(at(id).request_ended, true));
    say(id, "request end");
  }
  void on_interim(hm::http::ExchangeId id, int status) override {
    require(!at(id).response && status >= 100 && status < 200 && status != 101);
    say(id, "interim");
  }
  void on_response_head(hm::http::ExchangeId id, const hm::http::ResponseHead& head) override {
    require(!std::exchange(at(id).response, true) && head.status >= 200);
    say(id, std::to_string(head.status));
  }
  void on_response_body(hm::http::ExchangeId id, hm::Bytes body) override {
    require(at(id).response && !at(id).upgraded);
    add(id, "r", body);
  }
  void on_trailers(hm::http::ExchangeId id,
                   const std::vector<hm::http::Header>& trailers) override {
    require(at(id).response && !trailers.empty());
    say(id, "trailers");
  }
  void on_exchange_end(hm::http::ExchangeId id, hm::http::EndKind kind) override {
    at(id);
    open_.erase(id);
    say(id, "end " + std::to_string(static_cast<int>(kind)));
  }
  void on_upgrade(hm::http::ExchangeId id) override {
    require(at(id).response && at(id).request_ended && !std::exchange(at(id).upgraded, true));
    say(id, "upgrade");
  }
  void on_upgraded_bytes(hm::http::ExchangeId id, bool from_client, hm::Bytes bytes) override {
    require(at(id).upgraded);
    add(id, from_client ? "c" : "o", bytes);
  }
  void failed(hm::Code code) { say(0, std::string("error ") + hm::name_of(code)); }
  [[nodiscard]] bool all_ended() const { return open_.empty(); }

  std::string text;

 private:
  struct Exchange {
    bool request_ended = false;
    bool response = false;
    bool upgraded = false;
  };

  Exchange& at(hm::http::ExchangeId id) {
    const auto found = open_.find(id);
    require(found != open_.end());
    return found->second;
  }
  void say(hm::http::ExchangeId id, const std::string& what) {
    text += "\n" + std::to_string(id) + " " + what;
    body_.clear();
  }
  void add(hm::http::ExchangeId id, const std::string& mark, hm::Bytes bytes) {
    require(!bytes.empty());
    const std::string key = std::to_string(id) + mark;
    if (body_ != key) text += "\n" + key + " ";
    body_ = key;
    text += hm::as_text(bytes);
  }

  std::map<hm::http::ExchangeId, Exchange> open_;
  hm::http::ExchangeId last_ = 0;
  std::string body_;
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
