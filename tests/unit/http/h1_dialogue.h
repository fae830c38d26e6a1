// A connection written down as a dialogue, and what an observer said about it as text, one line per
// event, pieces of one body joined.
#pragma once

#include <string>
#include <vector>

#include "interceptor/http/h1_observer.h"
#include "tests/support/splits.h"

namespace hm::test {

struct Line {
  enum class Who { client, origin, client_fin, client_rst, origin_fin, origin_rst };
  Who who;
  std::string bytes;
};

inline Line client(std::string bytes) {
  return {Line::Who::client, std::move(bytes)};
}
inline Line origin(std::string bytes) {
  return {Line::Who::origin, std::move(bytes)};
}
inline const Line kClientFin{Line::Who::client_fin, ""};
inline const Line kClientRst{Line::Who::client_rst, ""};
inline const Line kOriginFin{Line::Who::origin_fin, ""};
inline const Line kOriginRst{Line::Who::origin_rst, ""};

class H1Transcript final : public http::ExchangeEvents {
 public:
  void on_request_head(http::ExchangeId id, const http::RequestHead& head) override {
    say(id, "> " + head.method + " " + head.target + " @" + head.authority);
  }
  void on_request_body(http::ExchangeId id, Bytes body) override { add(id, "> ", body); }
  void on_request_end(http::ExchangeId id) override { say(id, ">."); }
  void on_interim(http::ExchangeId id, int status) override {
    say(id, "< interim " + std::to_string(status));
  }
  void on_response_head(http::ExchangeId id, const http::ResponseHead& head) override {
    say(id, "< " + std::to_string(head.status));
  }
  void on_response_body(http::ExchangeId id, Bytes body) override { add(id, "< ", body); }
  void on_trailers(http::ExchangeId id, const std::vector<http::Header>& trailers) override {
    std::string all = "< trailers";
    for (const auto& trailer : trailers) all += " " + trailer.name + "=" + trailer.value;
    say(id, all);
  }
  void on_exchange_end(http::ExchangeId id, http::EndKind kind) override {
    static constexpr const char* kNames[] = {"complete", "eof_early", "reset", "client_abort"};
    say(id, kNames[static_cast<size_t>(kind)]);
  }
  void on_upgrade(http::ExchangeId id) override { say(id, "upgrade"); }
  void on_upgraded_bytes(http::ExchangeId id, bool from_client, Bytes bytes) override {
    add(id, from_client ? "raw> " : "raw< ", bytes);
  }
  void error(const Error& error) { text += std::string("error ") + name_of(error.code) + "\n"; }

  std::string text;

 private:
  void say(http::ExchangeId id, const std::string& what) {
    text += std::to_string(id) + what + "\n";
    open_.clear();
  }
  // A piece of the body that was told last goes on its line.
  void add(http::ExchangeId id, const std::string& mark, Bytes bytes) {
    const std::string key = std::to_string(id) + mark + "'";
    if (open_ == key) {
      text.pop_back();
      text.pop_back();
    } else {
      text += key;
    }
    open_ = key;
    text += std::string(as_text(bytes)) + "'\n";
  }
  std::string open_;
};

// Plays the dialogue with each line's bytes cut as `split` says. Stops at the first error.
inline std::string play(const std::vector<Line>& lines, const Split& split,
                        const http::H1Limits& limits = {}) {
  H1Transcript transcript;
  http::H1Observer observer(transcript, limits);
  bool failed = false;
  const auto note = [&](const Result<void>& result) {
    if (!result && !failed) transcript.error(result.error());
    if (failed && result) transcript.text += "recovered from an error\n";
    failed = failed || !result;
  };
  for (const Line& line : lines) {
    switch (line.who) {
      case Line::Who::client:
        feed_split(as_bytes(line.bytes), split, [&](Bytes p) { note(observer.from_client(p)); });
        break;
      case Line::Who::origin:
        feed_split(as_bytes(line.bytes), split, [&](Bytes p) { note(observer.from_origin(p)); });
        break;
      case Line::Who::client_fin:
      case Line::Who::client_rst:
        observer.client_ended(line.who == Line::Who::client_fin);
        break;
      case Line::Who::origin_fin:
      case Line::Who::origin_rst:
        observer.origin_ended(line.who == Line::Who::origin_fin);
        break;
    }
  }
  return transcript.text;
}

}  // namespace hm::test
