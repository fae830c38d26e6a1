#include "interceptor/relay/session_machine.h"

#include <catch2/catch.hpp>
#include <vector>

using hm::relay::Command;
using hm::relay::Event;
using hm::relay::SessionMachine;
using hm::relay::State;

namespace {

struct Step {
  Event event;
  Command command;
  State state;
};

void play(const std::vector<Step>& steps) {
  SessionMachine machine;
  int index = 0;
  for (const Step& step : steps) {
    INFO("step " << index++);
    CHECK(machine.on(step.event) == step.command);
    CHECK(machine.state() == step.state);
  }
}

constexpr Step kAsk{Event::metered_host, Command::dial, State::dialing};
constexpr Step kConnected{Event::connected, Command::await_hello, State::awaiting_hello};
constexpr Step kHello{Event::hello_fit, Command::shake_origin, State::shaking_origin};
constexpr Step kOrigin{Event::origin_fit, Command::answer_client, State::answering_client};
constexpr Step kClient{Event::client_fit, Command::relay, State::relaying};

}  // namespace

TEST_CASE("the way of a metered call") {
  play({kAsk, kConnected, kHello, kOrigin, kClient, {Event::ended, Command::close, State::closed}});
}

TEST_CASE("before the client is answered every doubt becomes a raw tunnel") {
  SECTION("a hello that we may not answer: on the same connection to the origin") {
    play({kAsk, kConnected, {Event::hello_doubt, Command::splice, State::raw}});
  }
  SECTION("an origin that does not pass: on a fresh connection, since it has seen our hello") {
    play({kAsk,
          kConnected,
          kHello,
          {Event::origin_unfit, Command::dial_again, State::dialing_raw},
          {Event::connected, Command::splice, State::raw},
          {Event::ended, Command::close, State::closed}});
  }
  SECTION("a host that is not metered") {
    play({{Event::other_host, Command::dial, State::dialing_raw},
          {Event::connected, Command::splice, State::raw}});
  }
}

TEST_CASE("an origin that ends before the hello is dialled again when it comes") {
  const Step gone{Event::origin_gone, Command::drop_origin, State::awaiting_hello};
  SECTION("a hello that we may answer") {
    play({kAsk,
          kConnected,
          gone,
          {Event::hello_fit, Command::redial, State::redialing},
          {Event::connected, Command::shake_origin, State::shaking_origin},
          kOrigin});
  }
  SECTION("and is not there") {
    play({kAsk,
          kConnected,
          gone,
          {Event::hello_fit, Command::redial, State::redialing},
          {Event::dial_failed, Command::refuse, State::closed}});
  }
  SECTION("one that we may not answer") {
    play({kAsk,
          kConnected,
          gone,
          {Event::hello_doubt, Command::dial_again, State::dialing_raw},
          {Event::connected, Command::splice, State::raw}});
  }
  SECTION("a client that leaves") {
    play({kAsk, kConnected, gone, {Event::ended, Command::close, State::closed}});
  }
}

TEST_CASE("an origin that cannot be reached is a 502, not a reset") {
  play({kAsk, {Event::dial_failed, Command::refuse, State::closed}});
  play({{Event::other_host, Command::dial, State::dialing_raw},
        {Event::dial_failed, Command::refuse, State::closed}});
}

TEST_CASE("a client that refuses us loses this call only") {
  play({kAsk, kConnected, kHello, kOrigin, {Event::client_failed, Command::close, State::closed}});
}

TEST_CASE("a bad ask and a knock end at once") {
  play({{Event::bad_ask, Command::close, State::closed}});
}

TEST_CASE("the end comes from anywhere, once") {
  const std::vector<Step> way{kAsk, kConnected, kHello, kOrigin, kClient};
  for (size_t length = 0; length <= way.size(); ++length) {
    SessionMachine machine;
    for (size_t i = 0; i < length; ++i) static_cast<void>(machine.on(way[i].event));
    CHECK(machine.on(Event::ended) == Command::close);
    for (const Event late : {Event::connected, Event::hello_fit, Event::ended, Event::dial_failed})
      CHECK(machine.on(late) == Command::none);
  }
}
