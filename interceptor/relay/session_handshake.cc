// The part of a session before the point of no return, and the client's end of the handshake: the
// saved hello, the origin's handshake, the answer with a leaf, and clients that refuse it.
#include <utility>

#include "common/base/log.h"
#include "common/net/control_socket.h"
#include "common/wire/ask.h"
#include "common/wire/connect_head.h"
#include "interceptor/relay/alert_names.h"
#include "interceptor/relay/session.h"

namespace hm::relay {
namespace {

// A client that hangs up this soon after the handshake, without a byte, has looked at our
// certificate and left.
constexpr int64_t kHangUpWindowUs = 2'000'000;
constexpr int64_t kFinishedLimitMs = 5 * 60 * 1000;
// An origin that has said nothing for so long, when its client would not wait longer, is silent.
constexpr int64_t kPatienceUs = 2'000'000;

}  // namespace

void Session::await_hello() {
  deadline_.stop();
  if (!answer_ask(wire::connected_reply())) return;
  client_answered_ = true;
  client_.start_tls(tls::Engine::towards_client(context_.client_side));
  origin_.start_reading();
  if (saved_.empty()) return;
  deadline_.start_once(context_.limits.hello_timeout_ms);
  const std::string early = saved_.copy_all();
  client_.feed_saved(as_bytes(early));
  if (machine_.state() == State::awaiting_hello &&
      saved_.size() > context_.limits.saved_hello_bytes)
    doubt("hello_too_large");
}

void Session::save_hello(Bytes bytes) {
  if (!deadline_.running() && machine_.state() == State::awaiting_hello)
    deadline_.start_once(context_.limits.hello_timeout_ms);
  // The queue has room for whole reads above the limit, so the bytes in hand are never lost.
  static_cast<void>(saved_.append(bytes));
  if (saved_.size() <= context_.limits.saved_hello_bytes) return;
  if (machine_.state() == State::awaiting_hello) return doubt("hello_too_large");
  client_.pause(net::PauseReason::handshake);
}

void Session::doubt(const char* reason) {
  miss_reason_ = reason;
  apply(Event::hello_doubt);
}

void Session::on_client_handshake(tls::Engine::Handshake progress) {
  const State state = machine_.state();
  if (state == State::awaiting_hello) {
    if (progress == tls::Engine::Handshake::paused) return judge_hello();
    if (progress == tls::Engine::Handshake::failed) return doubt("not_tls");
    return;
  }
  if (state != State::answering_client) return;
  if (progress == tls::Engine::Handshake::done) return apply(Event::client_fit);
  if (progress == tls::Engine::Handshake::failed) on_client_failed();
}

void Session::judge_hello() {
  const tls::ClientHello& hello = client_.engine().hello();
  hello_shape_ = hello.shape;
  if (hello.server_name != facts_.host) {
    miss_detail_ = hello.server_name.empty() ? "no server name" : "another server name";
    return doubt("sni_mismatch");
  }
  if (context_.trust.distrusts(facts_.host, hello_shape_)) return doubt("client_refused_ca");
  if (context_.silent_origins.avoid(facts_.host, port_)) {
    miss_detail_ = "it did not answer a handshake of ours shortly before";
    return doubt("origin_timeout");
  }
  apply(Event::hello_fit);
}

void Session::shake_origin() {
  deadline_.start_once(context_.limits.handshake_timeout_ms);
  hello_sent_us_ = context_.clock.steady_us();
  const bool self_test = facts_.host == wire::kSelfTestHost && context_.self_test != nullptr;
  auto engine =
      tls::Engine::towards_origin(self_test ? context_.self_test->trust() : context_.origin_side,
                                  facts_.host, client_.engine().hello().alpn);
  origin_.start_tls(std::move(engine));
  origin_.hold_plaintext();
  origin_.start_reading();
  origin_.drive_handshake();
}

void Session::on_origin_handshake(tls::Engine::Handshake progress) {
  if (machine_.state() != State::shaking_origin) return;
  if (progress == tls::Engine::Handshake::wants_bytes) return;
  context_.silent_origins.answered(facts_.host, port_);
  if (progress == tls::Engine::Handshake::done) {
    const auto leaf = context_.leaves.leaf_for(facts_.host);
    Result<void> answered = leaf ? client_.engine().answer(**leaf, origin_.engine().alpn())
                                 : Result<void>(std::unexpected(leaf.error()));
    if (answered) {
      origin_.pause(net::PauseReason::handshake);
      // Paused if it sent much before its turn; its Finished has to be read now.
      client_.resume(net::PauseReason::handshake);
      // Behind our ServerHello nothing can be carried on another way: a client that computes, or
      // stands in a debugger, is given the time.
      deadline_.start_once(kFinishedLimitMs);
      ready_us_ = context_.clock.steady_us();
      return apply(Event::origin_fit);
    }
    miss_reason_ = "leaf_failed";
    miss_detail_ = describe(answered.error());
    return apply(Event::origin_unfit);
  }
  switch (origin_.engine().failure()) {
    case tls::Engine::Failure::origin_unverified:
      miss_reason_ = "origin_unverified";
      break;
    case tls::Engine::Failure::client_certificate:
      miss_reason_ = "client_certificate";
      break;
    default:
      miss_reason_ = "origin_handshake_failed";
      break;
  }
  miss_detail_ = describe(origin_.engine().error());
  apply(Event::origin_unfit);
}

void Session::on_client_failed() {
  if (client_.engine().client_refusal()) {
    note_refusal(alert_name(client_.engine().peer_alert()));
  } else {
    record_miss("client_handshake_failed", describe(client_.engine().error()));
  }
  apply(Event::client_failed);
}

// Some stacks (Node) look at our certificate after the handshake and leave without a word. Leaving
// in order (close_notify) is no refusal, nor is leaving long after: a connection kept for later.
void Session::note_silent_end(const char* reason) {
  if (refused_ || client_spoke_ || client_said_goodbye_) return;
  if (ready_us_ != 0 && context_.clock.steady_us() - ready_us_ >= kHangUpWindowUs) return;
  // An edge that dies takes its clients with it; they have refused nothing.
  const bool from_edge = !ask_reader_.head().header(wire::kClientPortHeader).empty();
  if (from_edge && !context_.edge_socket.empty() && net::nobody_answers(context_.edge_socket))
    return;
  if (context_.trust.silent_end_is_refusal(facts_.host, hello_shape_)) note_refusal(reason);
}

// The client has gone while we waited for the origin's answer to our hello.
void Session::note_lost_patience() {
  if (context_.clock.steady_us() - hello_sent_us_ < kPatienceUs) return;
  context_.silent_origins.was_silent(facts_.host, port_);
  record_miss("origin_timeout", "the client gave up first");
}

void Session::note_refusal(std::string reason) {
  refused_ = true;
  log::warn("intercept.client_refused_ca")
      .with("host", facts_.host)
      .with("client", facts_.attribution.client_name)
      .with("pid", facts_.attribution.client_pid)
      .with("reason", reason)
      .with("call", facts_.call_id);
  record_miss("client_refused_ca", reason);
  // A proof that goes past the meter would prove nothing: the next one asks again.
  if (facts_.host == wire::kSelfTestHost) return;
  Refusal refusal;
  refusal.host = facts_.host;
  refusal.shape = hello_shape_;
  refusal.client = facts_.attribution.client_name;
  refusal.client_pid = facts_.attribution.client_pid;
  refusal.reason = std::move(reason);
  context_.trust.remember(std::move(refusal));
}

}  // namespace hm::relay
