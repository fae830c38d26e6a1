// The part of a session in which bytes go both ways, through the tap or raw, and how each direction
// and the whole come to their end.
#include <algorithm>
#include <utility>

#include "common/base/counters.h"
#include "common/base/log.h"
#include "common/wire/ask.h"
#include "interceptor/relay/alert_names.h"
#include "interceptor/relay/session.h"

namespace hm::relay {

void Session::begin_relay() {
  deadline_.stop();
  saved_.clear();
  ready_us_ = context_.clock.steady_us();
  facts_.transport = Tap::transport_of(origin_.engine().alpn());
  tap_ = std::make_unique<Tap>(*provider_, facts_, origin_.engine().alpn(), context_.clock,
                               static_cast<RecordSink&>(*this));
  if (context_.flights != nullptr)
    flight_ = context_.flights->begin(facts_.host, facts_.call_id, client_port_, started_wall_us_);
  static Counter& intercepted = counters::get("relay.intercepted");
  intercepted.add();
  log::info("intercept.start")
      .with("host", facts_.host)
      .with("call", facts_.call_id)
      .with("alpn", origin_.engine().alpn())
      .with("tls", origin_.engine().version())
      .with("resumed", origin_.engine().resumed());
  client_.resume(net::PauseReason::handshake);
  origin_.resume(net::PauseReason::handshake);
  origin_.release_plaintext();
}

void Session::splice() {
  deadline_.stop();
  client_.drop_tls();
  origin_.drop_tls();
  static Counter& spliced = counters::get("relay.spliced");
  if (provider_ != nullptr) {
    spliced.add();
    log::info("intercept.spliced")
        .with("host", facts_.host)
        .with("call", facts_.call_id)
        .with("reason", miss_reason_ != nullptr ? miss_reason_ : "other_host")
        .with("detail", miss_detail_);
  }
  if (miss_reason_ != nullptr && facts_.host != wire::kSelfTestHost) enter_unmetered();
  if (!client_answered_) {
    client_answered_ = true;
    if (!answer_ask(wire::connected_reply())) return;
  }
  origin_.start_reading();
  client_.resume(net::PauseReason::handshake);
  while (!saved_.empty()) {
    const Bytes run = saved_.front();
    bytes_up_ += static_cast<int64_t>(run.size());
    forward(origin_, run);
    if (machine_.state() == State::closed) return;
    saved_.consume(run.size());
  }
  if (client_.read_ended()) end_direction(client_);
}

void Session::on_side_bytes(Side& side, Bytes bytes) {
  last_bytes_us_ = context_.clock.steady_us();
  if (&side == &client_) {
    switch (machine_.state()) {
      case State::reading_ask:
        return read_ask(bytes);
      case State::raw:
        break;
      case State::answering_client:  // the engine's affair; nothing can be replayed any more
      case State::relaying:
      case State::closed:
        return;
      default:
        return save_hello(bytes);
    }
  } else if (machine_.state() == State::awaiting_hello) {
    doubt("origin_spoke_first");  // no TLS server does; carry it as it is
    if (machine_.state() != State::raw) return;
  }
  if (machine_.state() != State::raw) return;
  (&side == &client_ ? bytes_up_ : bytes_down_) += static_cast<int64_t>(bytes.size());
  forward(other(side), bytes);
}

void Session::on_side_plaintext(Side& side, Bytes plaintext) {
  if (machine_.state() != State::relaying) return;
  last_bytes_us_ = context_.clock.steady_us();
  const bool from_client = &side == &client_;
  if (from_client && !client_spoke_) {
    client_spoke_ = true;
    context_.trust.trusted(facts_.host, hello_shape_);
  }
  // Killed between the call and the look, it would be nobody's.
  if (from_client && tap_ != nullptr)
    if (const int64_t calls = tap_->may_begin(plaintext); calls > 0) note_flight(calls);
  forward(other(side), plaintext);  // the call first, then the look
  if (tap_ == nullptr) return;
  tap_->look(from_client, plaintext);
  note_flight();
}

void Session::forward(Side& to, Bytes bytes) {
  if (!to.send(bytes)) return;
  if (to.queued() > net::TcpStream::kHighMark) other(to).pause(net::PauseReason::sink_full);
}

void Session::on_side_drained(Side& side) {
  if (carrying()) other(side).resume(net::PauseReason::sink_full);
  end_if_over();
}

void Session::on_side_close_notify(Side& side) {
  if (!carrying()) return;
  if (&side == &client_) client_said_goodbye_ = true;
  other(side).send_close_notify();
  if (tap_ == nullptr) return;
  if (&side == &client_) {
    tap_->client_ended(true);
  } else {
    tap_->origin_ended(true);
  }
}

void Session::on_side_fin(Side& side) {
  const bool from_client = &side == &client_;
  switch (machine_.state()) {
    case State::raw:
    case State::relaying:
      return end_direction(side);
    case State::awaiting_hello:
      if (from_client && saved_.empty()) return apply(Event::ended);  // a connection never used
      return from_client ? doubt("not_tls") : apply(Event::origin_gone);
    case State::shaking_origin:
      if (from_client) {
        note_lost_patience();
        return apply(Event::ended);
      }
      miss_reason_ = "origin_handshake_failed";
      return apply(Event::origin_unfit);
    case State::answering_client:
      if (!from_client) return apply(Event::ended);
      note_silent_end("hung_up_in_handshake");
      return apply(Event::client_failed);
    case State::dialing_raw:
      return;  // its bytes are saved; splice() passes the end on
    default:
      return apply(Event::ended);
  }
}

void Session::end_direction(Side& from) {
  Side& to = other(from);
  const bool from_client = &from == &client_;
  if (tap_ != nullptr) {
    if (from_client) {
      tap_->client_ended(true);
    } else {
      tap_->origin_ended(true);
    }
  }
  if (from_client && machine_.state() == State::relaying)
    note_silent_end("hung_up_after_handshake");
  to.shutdown_write();
  end_if_over();
}

void Session::end_if_over() {
  if (!carrying()) return;
  if (client_.read_ended() && origin_.read_ended() && client_.queued() == 0 &&
      origin_.queued() == 0)
    apply(Event::ended);
}

void Session::on_side_broken(Side& side, Error error) {
  const State state = machine_.state();
  if (state == State::closed) return;
  const bool from_client = &side == &client_;
  log::debug("intercept.broken")
      .with("host", facts_.host)
      .with("call", facts_.call_id)
      .with("side", from_client ? "client" : "origin")
      .with("state", name_of(state))
      .with(error);
  if (!from_client && state == State::shaking_origin) {
    miss_reason_ = "origin_handshake_failed";
    miss_detail_ = describe(error);
    return apply(Event::origin_unfit);
  }
  if (!from_client && state == State::awaiting_hello) return apply(Event::origin_gone);
  const bool past_our_answer = state == State::answering_client || state == State::relaying;
  if (from_client && past_our_answer && client_.secure() && client_.engine().client_refusal()) {
    note_refusal(alert_name(client_.engine().peer_alert()));  // TLS 1.3: after the handshake
  } else if (from_client && state == State::answering_client) {
    note_silent_end("hung_up_in_handshake");
  } else if (from_client && state == State::relaying) {
    note_silent_end("hung_up_after_handshake");
  } else if (from_client && state == State::shaking_origin) {
    note_lost_patience();
  }
  if (tap_ != nullptr) {
    if (from_client) {
      tap_->client_ended(false);
    } else {
      tap_->origin_ended(false);
    }
  }
  // Broken stays broken, at once for the origin. A client is first sent what came before the break.
  from_client ? origin_.reset() : client_.reset_after_sending();
  apply(Event::ended);
}

void Session::drain(int64_t idle_us, int64_t attentive_since_us) {
  // A client sends its next request just when we hang up, if we do so between two of a row of
  // calls.
  const int64_t quiet_since_us = std::max(last_bytes_us_, attentive_since_us);
  if (context_.clock.steady_us() - quiet_since_us < idle_us) return;
  // A connection opened for later: the edge finds it another way, past the meter. So only when
  // there is no time.
  if (machine_.state() == State::awaiting_hello && saved_.empty() && idle_us == 0)
    return apply(Event::ended);
  if (machine_.state() != State::relaying || tap_ == nullptr) return;
  if (tap_->unread() || tap_->open_exchanges() > 0 || tap_->mid_message()) return;
  // The exchange is over for the tap when its last bytes are queued, not when they are delivered.
  if (client_.queued() > 0 || origin_.queued() > 0) return;
  if (client_.has_unread()) return;  // its next request
  client_.send_close_notify();
  origin_.send_close_notify();
  apply(Event::ended);
}

bool Session::carrying() const {
  return machine_.state() == State::relaying || machine_.state() == State::raw;
}

}  // namespace hm::relay
