// What an observer says of each exchange, kept apart by exchange: events of different streams may
// come in any order, those of one may not.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "interceptor/http/h2_observer.h"
#include "tests/support/splits.h"

namespace hm::test {

// One line per event, pieces of one body joined. Headers are listed when `with_headers`.
class H2Transcript final : public http::ExchangeEvents {
 public:
  explicit H2Transcript(bool with_headers = false) : with_headers_(with_headers) {}

  void on_request_head(http::ExchangeId id, const http::RequestHead& head) override {
    say(id, "> " + head.method + " " + head.target + " @" + head.authority + list(head.headers));
  }
  void on_request_body(http::ExchangeId id, Bytes body) override { add(id, "> '", body); }
  void on_request_end(http::ExchangeId id) override { say(id, ">."); }
  void on_interim(http::ExchangeId id, int status) override {
    say(id, "< interim " + std::to_string(status));
  }
  void on_response_head(http::ExchangeId id, const http::ResponseHead& head) override {
    say(id, "< " + std::to_string(head.status) + list(head.headers));
  }
  void on_response_body(http::ExchangeId id, Bytes body) override { add(id, "< '", body); }
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
    add(id, from_client ? "raw> '" : "raw< '", bytes);
  }

  std::map<http::ExchangeId, std::string> exchanges;

  [[nodiscard]] std::string text() const {
    std::string all;
    for (const auto& [id, said] : exchanges) all += "#" + std::to_string(id) + "\n" + said;
    return all + error;
  }
  std::string error;

 private:
  [[nodiscard]] std::string list(const std::vector<http::Header>& headers) const {
    std::string all;
    if (!with_headers_) return all;
    for (const auto& header : headers) all += "\n  " + header.name + ": " + header.value;
    return all;
  }
  void say(http::ExchangeId id, const std::string& what) {
    exchanges[id] += what + "\n";
    open_.erase(id);
  }
  // A piece of the body that was told last goes on its line.
  void add(http::ExchangeId id, const std::string& mark, Bytes bytes) {
    std::string& text = exchanges[id];
    if (open_[id] == mark) {
      text.resize(text.size() - 2);
    } else {
      text += mark;
    }
    open_[id] = mark;
    text += as_text(bytes);
    text += "'\n";
  }

  const bool with_headers_;
  std::map<http::ExchangeId, std::string> open_;  // the mark of its last line, if that is a body
};

struct H2Line {
  enum class Who { client, origin, client_fin, client_rst, origin_fin, origin_rst };
  Who who;
  std::string bytes;
};

// Plays the lines with each one's bytes cut as `split` says; an observer in error must stay there.
inline H2Transcript play(const std::vector<H2Line>& lines, const Split& split,
                         const http::H2Limits& limits = {}, bool with_headers = false) {
  H2Transcript transcript(with_headers);
  http::H2Observer observer(transcript, limits);
  const auto note = [&](const Result<void>& result) {
    if (result && !transcript.error.empty()) transcript.error += "recovered from an error\n";
    if (!result && transcript.error.empty()) {
      transcript.error = std::string("error ") + name_of(result.error().code) + "\n";
    }
  };
  for (const H2Line& line : lines) {
    switch (line.who) {
      case H2Line::Who::client:
        feed_split(as_bytes(line.bytes), split, [&](Bytes p) { note(observer.from_client(p)); });
        break;
      case H2Line::Who::origin:
        feed_split(as_bytes(line.bytes), split, [&](Bytes p) { note(observer.from_origin(p)); });
        break;
      case H2Line::Who::client_fin:
      case H2Line::Who::client_rst:
        observer.client_ended(line.who == H2Line::Who::client_fin);
        break;
      case H2Line::Who::origin_fin:
      case H2Line::Who::origin_rst:
        observer.origin_ended(line.who == H2Line::Who::origin_fin);
        break;
    }
  }
  return transcript;
}

}  // namespace hm::test
