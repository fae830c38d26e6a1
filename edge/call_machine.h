// Which way does one CONNECT go? Decisions only: no socket, no clock, no allocation.
//
//   reading_head --llm_open-----> asking --accepted--> metered --far_lost--> rescuing
//        |   |                      | full, refused,       (no byte came        | connected
//        |   '--llm_closed--.       | silent: fail open     back so far)        v
//        |                  v       v                                          raw
//        '--other_host--> dialing_origin --connected--> raw
//                                |
//                                '--dial_failed--> closed, with a 502
#pragma once

#include <cstdint>

namespace hm::edge {

enum class State : uint8_t {
  reading_head,
  asking,
  dialing_origin,
  metered,
  rescuing,  // the client is in the middle of its handshake; a new far side is on its way
  raw,
  closed,
};

enum class Event : uint8_t {
  llm_open,    // a metered host, and the gate is open
  llm_closed,  // a metered host, and the gate is closed
  other_host,
  bad_head,      // answered with an error, or a refusal of ours
  accepted,      // the interceptor has the origin's connection
  not_accepted,  // full, refused, silent, gone, cannot reach the origin: anything else
  connected,
  dial_failed,
  far_lost,
  ended,
};

enum class Command : uint8_t {
  none,
  ask,
  dial,
  splice_metered,
  splice_raw,
  replace_far,
  refuse,
  close
};

class CallMachine {
 public:
  [[nodiscard]] Command on(Event event);
  [[nodiscard]] State state() const { return state_; }

 private:
  Command enter(State state, Command command) {
    state_ = state;
    return command;
  }

  State state_ = State::reading_head;
};

}  // namespace hm::edge
