#include "interceptor/relay/session_machine.h"

namespace hm::relay {

Command SessionMachine::on(Event event) {
  if (state_ == State::closed) return Command::none;  // a late callback: nothing left to decide
  if (event == Event::ended) return enter(State::closed, Command::close);

  switch (state_) {
    case State::reading_ask:
      if (event == Event::metered_host) return enter(State::dialing, Command::dial);
      if (event == Event::other_host) return enter(State::dialing_raw, Command::dial);
      return enter(State::closed, Command::close);

    case State::dialing:
      if (event == Event::connected) return enter(State::awaiting_hello, Command::await_hello);
      return enter(State::closed, Command::refuse);

    case State::awaiting_hello:  // the origin's connection is still untouched
      if (event == Event::origin_gone) {
        origin_gone_ = true;
        return Command::drop_origin;
      }
      if (event == Event::hello_fit) {
        return origin_gone_ ? enter(State::redialing, Command::redial)
                            : enter(State::shaking_origin, Command::shake_origin);
      }
      return origin_gone_ ? enter(State::dialing_raw, Command::dial_again)
                          : enter(State::raw, Command::splice);

    case State::redialing:
      if (event == Event::connected) return enter(State::shaking_origin, Command::shake_origin);
      return enter(State::closed, Command::refuse);

    case State::shaking_origin:  // the origin has seen a hello of ours: a detour needs a new dial
      if (event == Event::origin_fit) return enter(State::answering_client, Command::answer_client);
      return enter(State::dialing_raw, Command::dial_again);

    case State::answering_client:  // the point of no return is behind us
      if (event == Event::client_fit) return enter(State::relaying, Command::relay);
      return enter(State::closed, Command::close);

    case State::dialing_raw:
      if (event == Event::connected) return enter(State::raw, Command::splice);
      return enter(State::closed, Command::refuse);

    case State::relaying:
    case State::raw:
      return enter(State::closed, Command::close);

    case State::closed:
      break;
  }
  return Command::none;
}

const char* name_of(State state) {
  switch (state) {
    case State::reading_ask:
      return "reading_ask";
    case State::dialing:
      return "dialing";
    case State::awaiting_hello:
      return "awaiting_hello";
    case State::redialing:
      return "redialing";
    case State::shaking_origin:
      return "shaking_origin";
    case State::answering_client:
      return "answering_client";
    case State::relaying:
      return "relaying";
    case State::dialing_raw:
      return "dialing_raw";
    case State::raw:
      return "raw";
    case State::closed:
      return "closed";
  }
  return "unknown";
}

}  // namespace hm::relay
