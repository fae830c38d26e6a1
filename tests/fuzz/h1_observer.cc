// The input is a schedule: a byte says who speaks (bit 0), how the piece is cut (bit 1) and how
// long it is (the rest); 0xff ends a side. The observer must keep its promises about order: each
// exchange has one head, one end, nothing behind the end; and cutting pieces must not change what
// it says.
#include "interceptor/http/h1_observer.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

namespace {

void require(bool condition) {
  if (!condition) abort();
}

class Judge final : public hm::http::ExchangeEvents {
 public:
  void on_request_head(hm::http::ExchangeId id, const hm::http::RequestHead& head) override {
    require(id == last_ + 1 && open_.size() < 64);
    last_ = id;
    open_[id] = {};
    say(id, "head " + head.method + " " + head.target);
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
    require(!std::exchange(at(id).response, true) && open_.begin()->first == id);
    say(id, std::to_string(head.status));
  }
  void on_response_body(hm::http::ExchangeId id, hm::Bytes body) override {
    require(at(id).response);
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
    require(at(id).response && !std::exchange(at(id).upgraded, true));
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

std::string play(hm::Bytes input, bool cut) {
  Judge judge;
  hm::http::H1Observer observer(judge);
  bool failed = false;
  while (input.size() > 1) {
    const uint8_t order = input.front();
    input = input.subspan(1);
    if (order >= 0xfc) {
      order % 2 == 0 ? observer.client_ended(order < 0xfe) : observer.origin_ended(order < 0xfe);
      continue;
    }
    const size_t size = std::min<size_t>(size_t{1} + (order >> 2) * 4, input.size());
    hm::Bytes piece = input.first(size);
    input = input.subspan(size);
    while (!piece.empty()) {
      const size_t step = cut && (order & 2) != 0 ? 1 : piece.size();
      const std::string exact(hm::as_text(piece.first(step)));
      const auto result = order % 2 == 0 ? observer.from_client(hm::as_bytes(exact))
                                         : observer.from_origin(hm::as_bytes(exact));
      if (!result && !failed) judge.failed(result.error().code);
      require(!failed || !result);
      failed = !result;
      piece = piece.subspan(step);
    }
  }
  observer.client_ended(true);
  observer.origin_ended(true);
  require(failed || judge.all_ended());
  return judge.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const hm::Bytes bytes(data, size);
  require(play(bytes, false) == play(bytes, true));
  return 0;
}
