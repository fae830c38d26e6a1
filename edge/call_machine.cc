#include "edge/call_machine.h"

namespace hm::edge {

Command CallMachine::on(Event event) {
  if (state_ == State::closed) return Command::none;  // a late callback
  if (event == Event::ended) return enter(State::closed, Command::close);

  switch (state_) {
    case State::reading_head:
      if (event == Event::llm_open) return enter(State::asking, Command::ask);
      if (event == Event::llm_closed || event == Event::other_host)
        return enter(State::dialing_origin, Command::dial);
      return enter(State::closed, Command::close);

    case State::asking:  // the client has seen nothing yet: a detour is invisible
      if (event == Event::accepted) return enter(State::metered, Command::splice_metered);
      return enter(State::dialing_origin, Command::dial);

    case State::dialing_origin:
      if (event == Event::connected) return enter(State::raw, Command::splice_raw);
      return enter(State::closed, Command::refuse);

    case State::metered:
      if (event == Event::far_lost) return enter(State::rescuing, Command::dial);
      return enter(State::closed, Command::close);

    case State::rescuing:
      if (event == Event::connected) return enter(State::raw, Command::replace_far);
      return enter(State::closed, Command::close);

    case State::raw:
      return enter(State::closed, Command::close);
    case State::closed:
      break;
  }
  return Command::none;
}

}  // namespace hm::edge
