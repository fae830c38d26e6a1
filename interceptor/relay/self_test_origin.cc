#include "interceptor/relay/self_test_origin.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "common/net/loop.h"
#include "common/net/timer.h"
#include "common/wire/ask.h"
#include "interceptor/relay/side.h"

namespace hm::relay {
namespace {

constexpr size_t kMaxRequest = 16 * 1024;
constexpr size_t kMaxVisits = 8;
constexpr int64_t kVisitLimitMs = 10'000;
constexpr std::string_view kBadRequest =
    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

std::string_view header_value(std::string_view head, std::string_view name) {
  for (size_t at = head.find("\r\n"); at != std::string_view::npos && at + 2 < head.size();) {
    const size_t end = std::min(head.find("\r\n", at + 2), head.size());
    const std::string_view line = head.substr(at + 2, end - at - 2);
    if (const size_t colon = line.find(':');
        colon != std::string_view::npos && same_name(line.substr(0, colon), name)) {
      std::string_view value = line.substr(colon + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      return value;
    }
    at = end == head.size() ? std::string_view::npos : end;
  }
  return {};
}

bool is_plain_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
  });
}

}  // namespace

std::string self_test_answer(std::string_view request) {
  const size_t end = request.find("\r\n\r\n");
  if (end == std::string_view::npos)
    return request.size() > kMaxRequest ? std::string(kBadRequest) : std::string();
  const std::string_view head = request.substr(0, end);
  const std::string_view length_text = header_value(head, "content-length");
  size_t length = 0;
  std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
  if (length > kMaxRequest) return std::string(kBadRequest);
  if (request.size() - end - 4 < length) return {};
  const std::string_view id = header_value(head, wire::kSelfTestHeader);
  if (!is_plain_id(id)) return std::string(kBadRequest);
  constexpr std::string_view kBody = R"({"input_tokens":1})";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nrequest-id: " + std::string(id) +
         "\r\nContent-Length: " + std::to_string(kBody.size()) + "\r\nConnection: close\r\n\r\n" +
         std::string(kBody);
}

class SelfTestOrigin::Visit final : private Side::Owner {
 public:
  Visit(SelfTestOrigin& origin, uint64_t id)
      : origin_(origin),
        id_(id),
        side_(origin.loop_, *this),
        limit_(origin.loop_, [this] { leave(); }) {}

  void start(net::TcpSocket socket) {
    side_.adopt(std::move(socket));
    side_.start_tls(tls::Engine::towards_client(origin_.serving_));
    limit_.start_once(kVisitLimitMs);
    side_.start_reading();
  }

 private:
  void on_side_bytes(Side&, Bytes) override {}
  void on_side_handshake(Side& side, tls::Engine::Handshake progress) override {
    if (progress == tls::Engine::Handshake::failed) return leave();
    if (progress != tls::Engine::Handshake::paused) return;
    const auto leaf = origin_.leaves_.leaf_for(std::string(wire::kSelfTestHost));
    const auto& offered = side.engine().hello().alpn;
    const bool http1 = std::ranges::find(offered, "http/1.1") != offered.end();
    if (!leaf || !side.engine().answer(**leaf, http1 ? "http/1.1" : "")) return leave();
    side.drive_handshake();
  }
  void on_side_plaintext(Side& side, Bytes plaintext) override {
    if (answered_) return;
    request_ += as_text(plaintext);
    const std::string answer = self_test_answer(request_);
    if (answer.empty()) return;
    answered_ = true;
    if (!side.send(as_bytes(answer))) return;
    side.send_close_notify();
    side.shutdown_write();
  }
  void on_side_close_notify(Side&) override {}
  void on_side_fin(Side&) override { leave(); }
  void on_side_drained(Side&) override {}
  void on_side_broken(Side&, Error) override { leave(); }

  void leave() {
    if (std::exchange(gone_, true)) return;
    limit_.stop();
    side_.close();
    origin_.bury(id_);
  }

  SelfTestOrigin& origin_;
  const uint64_t id_;
  Side side_;
  net::Timer limit_;
  std::string request_;  // bounded: self_test_answer() answers what is too large
  bool answered_ = false;
  bool gone_ = false;
};

SelfTestOrigin::SelfTestOrigin(net::Loop& loop, const tls::ClientSideContext& serving,
                               tls::LeafCache& leaves,
                               std::unique_ptr<tls::OriginSideContext> trust)
    : loop_(loop),
      serving_(serving),
      leaves_(leaves),
      trust_(std::move(trust)),
      listener_(loop, [this](net::TcpSocket socket) { on_accept(std::move(socket)); }) {}

SelfTestOrigin::~SelfTestOrigin() = default;

Result<uint16_t> SelfTestOrigin::open() {
  if (visits_.size() >= kMaxVisits) return fail(Code::exhausted, "self_test_origin.open");
  if (port_ != 0) return port_;
  const auto port = listener_.listen("127.0.0.1", 0);
  if (port) port_ = *port;
  return port;
}

void SelfTestOrigin::on_accept(net::TcpSocket socket) {
  if (const auto uid = net::peer_uid(socket); uid && *uid != ::getuid()) return;
  const uint64_t id = next_id_++;
  Visit& visit = *visits_.emplace(id, std::make_unique<Visit>(*this, id)).first->second;
  visit.start(std::move(socket));
  port_ = 0;
  listener_.close();
}

void SelfTestOrigin::bury(uint64_t id) {
  const auto found = visits_.find(id);
  if (found == visits_.end()) return;
  loop_.bury(std::move(found->second));
  visits_.erase(found);
}

}  // namespace hm::relay
