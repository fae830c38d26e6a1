// Judges what an observer of exchanges says, whatever its input was: each exchange has one head and
// one end, events come in an order that makes sense, nothing comes behind the end. Keeps a
// transcript, so that two runs can be compared.
#pragma once

#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "interceptor/http/exchange.h"

namespace hm::fuzz {

inline void require(bool condition) {
  if (!condition) abort();
}

class ExchangeJudge : public http::ExchangeEvents {
 public:
  explicit ExchangeJudge(size_t max_open) : max_open_(max_open) {}

  void on_request_head(http::ExchangeId id, const http::RequestHead& head) override {
    require(id == last_ + 1 && open_.size() < max_open_);
    require(!head.method.empty() && !head.target.empty());
    last_ = id;
    open_[id] = {};
    std::string all = "head " + head.method + " " + head.target;
    for (const auto& header : head.headers) all += " " + header.name + "=" + header.value;
    say(id, all);
  }
  void on_request_body(http::ExchangeId id, Bytes body) override {
    require(!at(id).request_ended);
    add(id, "q", body);
  }
  void on_request_end(http::ExchangeId id) override {
    require(!std::exchange(at(id).request_ended, true));
    say(id, "request end");
  }
  void on_interim(http::ExchangeId id, int status) override {
    require(!at(id).response && status >= 100 && status < 200 && status != 101);
    say(id, "interim");
  }
  void on_response_head(http::ExchangeId id, const http::ResponseHead& head) override {
    require(!std::exchange(at(id).response, true) && (head.status >= 200 || head.status == 101));
    say(id, std::to_string(head.status));
  }
  void on_response_body(http::ExchangeId id, Bytes body) override {
    require(at(id).response && !at(id).upgraded);
    add(id, "r", body);
  }
  void on_trailers(http::ExchangeId id, const std::vector<http::Header>& trailers) override {
    require(at(id).response && !trailers.empty());
    say(id, "trailers");
  }
  void on_exchange_end(http::ExchangeId id, http::EndKind kind) override {
    at(id);
    open_.erase(id);
    say(id, "end " + std::to_string(static_cast<int>(kind)));
  }
  void on_upgrade(http::ExchangeId id) override {
    require(at(id).response && !std::exchange(at(id).upgraded, true));
    say(id, "upgrade");
  }
  void on_upgraded_bytes(http::ExchangeId id, bool from_client, Bytes bytes) override {
    require(at(id).upgraded);
    add(id, from_client ? "c" : "o", bytes);
  }
  void failed(Code code) { say(0, std::string("error ") + name_of(code)); }
  [[nodiscard]] bool all_ended() const { return open_.empty(); }

  std::string text;

 protected:
  struct Exchange {
    bool request_ended = false;
    bool response = false;
    bool upgraded = false;
  };

  Exchange& at(http::ExchangeId id) {
    const auto found = open_.find(id);
    require(found != open_.end());
    return found->second;
  }

  std::map<http::ExchangeId, Exchange> open_;

 private:
  void say(http::ExchangeId id, const std::string& what) {
    text += "\n" + std::to_string(id) + " " + what;
    body_.clear();
  }
  void add(http::ExchangeId id, const std::string& mark, Bytes bytes) {
    require(!bytes.empty());
    const std::string key = std::to_string(id) + mark;
    if (body_ != key) text += "\n" + key + " ";
    body_ = key;
    text += as_text(bytes);
  }

  const size_t max_open_;
  http::ExchangeId last_ = 0;
  std::string body_;
};

}  // namespace hm::fuzz
