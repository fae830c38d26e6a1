// Which rung of the fail-open ladder is one intercepted connection on? Decisions only: no socket,
// no clock, no allocation.
//
//   reading_ask --metered_host--> dialing --connected--> awaiting_hello --hello_fit--.
//        | other_host                | failed: 502            | doubt                |
//        v                           v                        v                      v
//   dialing_raw --connected------------------------------> raw              shaking_origin
//        ^                                                                    |      | origin_fit
//        '------ redial: the origin has seen our hello <------ origin_unfit --'      v
//                                               relaying <--client_fit-- answering_client
//
// An origin that gives up a connection still waiting for its hello is dialled again when the hello
// comes (redialing, then shaking_origin): the client has not lost anything yet.
//
// Until the client end is answered every doubt ends in `raw`; afterwards a fault of the meter costs
// the meter (the tap detaches), and only a client that refuses our certificate loses its call.
#pragma once

#include <cstdint>

namespace hm::relay {

enum class State : uint8_t {
  reading_ask,
  dialing,
  awaiting_hello,
  redialing,
  shaking_origin,
  answering_client,
  relaying,
  dialing_raw,
  raw,
  closed,
};

enum class Event : uint8_t {
  metered_host,  // the ask names a host we meter
  other_host,    // it names something else: carry it, do not look
  bad_ask,       // no CONNECT, too large, too slow, a knock that was answered
  connected,     // a dial succeeded
  dial_failed,
  hello_fit,    // a ClientHello that we may answer
  hello_doubt,  // not TLS, too slow, wrong name, a client that does not trust us
  origin_gone,  // it ended the connection before the hello
  origin_fit,   // handshake done, verified, leaf at hand
  origin_unfit,
  client_fit,
  client_failed,  // refused our certificate, or vanished in the handshake
  ended,          // both directions are over, or one side broke
};

enum class Command : uint8_t {
  none,
  dial,         // open the origin's TCP connection
  dial_again,   // a fresh one, for a raw tunnel
  await_hello,  // tell the edge 200 and read the ClientHello
  drop_origin,  // close what is left of its connection
  redial,       // a fresh one, for the handshake; the client's end stays as it is
  shake_origin,
  answer_client,
  relay,
  splice,  // raw from here on, saved bytes first
  refuse,  // tell the edge 502, close
  close,
};

class SessionMachine {
 public:
  [[nodiscard]] Command on(Event event);
  [[nodiscard]] State state() const { return state_; }

 private:
  Command enter(State state, Command command) {
    state_ = state;
    return command;
  }

  State state_ = State::reading_ask;
  bool origin_gone_ = false;  // while awaiting_hello
};

[[nodiscard]] const char* name_of(State state);

}  // namespace hm::relay
