#include "cli/self_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/base/clock.h"
#include "common/base/descriptor.h"
#include "common/base/random_id.h"
#include "common/wire/ask.h"
#include "common/wire/connect_head.h"
#include "interceptor/store/queries.h"
#include "interceptor/tls/contexts.h"
#include "interceptor/tls/engine.h"

namespace hm::cli {
namespace {

constexpr std::string_view kPath = "/v1/messages/count_tokens";
constexpr std::string_view kBody = R"({"model":"halton-meter-selftest","messages":[]})";

// A connection to the edge whose reads and writes end at the deadline.
class Line {
 public:
  explicit Line(int64_t limit_ms) : end_us_(system_clock().steady_us() + limit_ms * 1000) {}

  [[nodiscard]] bool connect(uint16_t port) {
    fd_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    set_limit();
    return fd_.valid() &&
           ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  [[nodiscard]] bool send(Bytes bytes) {
    while (!bytes.empty()) {
      set_limit();
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return false;
      bytes = bytes.subspan(static_cast<size_t>(sent));
    }
    return true;
  }
  // Empty: the end, an error or the deadline.
  [[nodiscard]] Bytes receive() {
    while (true) {
      set_limit();
      const ssize_t got = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      return Bytes(buffer_.data(), got > 0 ? static_cast<size_t>(got) : 0);
    }
  }
  [[nodiscard]] bool late() const { return system_clock().steady_us() >= end_us_; }

 private:
  void set_limit() const {
    const int64_t left_us = std::max<int64_t>(1000, end_us_ - system_clock().steady_us());
    const timeval limit{left_us / 1'000'000, left_us % 1'000'000};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  Descriptor fd_;
  int64_t end_us_;
  std::array<uint8_t, 16 * 1024> buffer_{};
};

std::unexpected<std::string> ended(std::string sentence) {
  return std::unexpected(std::move(sentence));
}

// CONNECT through the edge.
std::expected<void, std::string> open_tunnel(Line& line, uint16_t port) {
  if (!line.connect(port))
    return ended("nobody accepts connections at 127.0.0.1:" + std::to_string(port) + " (" +
                 std::strerror(errno) + ")");
  const std::string target = wire::authority_text(wire::kSelfTestHost, 443);
  const std::string ask = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n";
  if (!line.send(as_bytes(ask))) return ended("the edge hung up before the call");
  wire::AnswerHeadReader reader;
  while (true) {
    const Bytes bytes = line.receive();
    if (bytes.empty()) return ended("the edge gave no answer to CONNECT");
    size_t used = 0;
    const wire::HeadState state = reader.feed(bytes, used);
    if (state == wire::HeadState::more) continue;
    if (state == wire::HeadState::complete && reader.status() == 200) return {};
    return ended("the edge could not hand the call to the interceptor (it answered " +
                 std::to_string(reader.status()) + "): calls pass, and are not metered");
  }
}

std::string handshake_trouble(const tls::Engine& engine) {
  if (engine.failure() == tls::Engine::Failure::origin_unverified)
    return "the certificate of the call was not accepted with the bundle that clients get (" +
           describe(engine.error()) + ")";
  return "the TLS handshake of the call failed (" + describe(engine.error()) + ")";
}

bool flush(Line& line, tls::Engine& engine) {
  ByteQueue& outgoing = engine.outgoing();
  while (!outgoing.empty()) {
    const Bytes run = outgoing.front();
    if (!line.send(run)) return false;
    outgoing.consume(run.size());
  }
  return true;
}

std::expected<void, std::string> shake_hands(Line& line, tls::Engine& engine) {
  while (true) {
    const tls::Engine::Handshake progress = engine.handshake();
    const bool sent = flush(line, engine);
    if (progress == tls::Engine::Handshake::done) return {};
    if (progress == tls::Engine::Handshake::failed || !sent)
      return ended(handshake_trouble(engine));
    const Bytes bytes = line.receive();
    if (bytes.empty()) return ended("the connection ended in the TLS handshake");
    if (!engine.feed(bytes)) return ended("the TLS handshake did not end");
  }
}

SelfTestRequest request_with(const std::string& id) {
  SelfTestRequest request;
  request.host = wire::kSelfTestHost;
  request.path = kPath;
  request.header = std::string(wire::kSelfTestHeader) + ": " + id;
  request.body = kBody;
  request.text = "POST " + request.path + " HTTP/1.1\r\nHost: " + request.host +
                 "\r\nUser-Agent: halton-meter-selftest\r\nContent-Type: application/json\r\n" +
                 request.header + "\r\nContent-Length: " + std::to_string(request.body.size()) +
                 "\r\nConnection: close\r\n\r\n" + request.body;
  return request;
}

std::expected<std::string, std::string> exchange(Line& line, tls::Engine& engine,
                                                 const std::string& id) {
  const std::string request = request_with(id).text;
  if (!engine.write(as_bytes(request)) || !flush(line, engine))
    return ended("the connection ended before the request was sent");
  std::string answer;
  std::array<uint8_t, 16 * 1024> buffer;
  while (true) {
    size_t count = 0;
    switch (engine.read(buffer, count)) {
      case tls::Engine::Read::bytes:
        answer += as_text(Bytes(buffer).first(count));
        continue;
      case tls::Engine::Read::ended:
        return answer;
      case tls::Engine::Read::failed:
        return ended("the answer could not be decrypted (" + describe(engine.error()) + ")");
      case tls::Engine::Read::wants_bytes:
        break;
    }
    const Bytes bytes = line.receive();
    if (bytes.empty())
      return ended(line.late() ? "the answer did not come in time" : "the answer was cut off");
    if (!engine.feed(bytes)) return ended("the answer was too large");
  }
}

}  // namespace

SelfTestRequest self_test_request() {
  return request_with(random_uuid());
}

std::expected<SelfTestResult, std::string> run_self_test(const SelfTestPlan& plan) {
  const Clock& clock = system_clock();
  const int64_t begun_us = clock.steady_us();
  const int64_t since_us = clock.wall_us() - 1'000'000;
  const auto trust =
      tls::OriginSideContext::create({.system_roots = plan.bundle, .extra_roots = {}});
  if (!trust) return ended("the bundle cannot be read (" + describe(trust.error()) + ")");

  const std::string id = random_uuid();
  Line line(plan.limit_ms);
  if (auto open = open_tunnel(line, plan.edge_port); !open) return ended(open.error());
  const auto engine =
      tls::Engine::towards_origin(**trust, std::string(wire::kSelfTestHost), {"http/1.1"});
  if (auto shaken = shake_hands(line, *engine); !shaken) return ended(shaken.error());
  const auto answer = exchange(line, *engine, id);
  if (!answer) return ended(answer.error());
  if (!answer->starts_with("HTTP/1.1 200 "))
    return ended("the call was answered with \"" + answer->substr(0, answer->find("\r\n")) + "\"");
  SelfTestResult result;
  result.call_us = clock.steady_us() - begun_us;

  while (true) {
    if (auto queries = store::Queries::open(plan.database)) {
      const auto there = queries->holds_request(id, since_us);
      if (there && *there) break;
    }
    if (line.late())
      return ended("the call went through, and no row of it appeared in " + plan.database.string());
    ::usleep(10'000);
  }
  result.row_us = clock.steady_us() - begun_us;
  return result;
}

}  // namespace hm::cli
