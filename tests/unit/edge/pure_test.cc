// The parts of the edge that only think.
#include <catch2/catch.hpp>

#include "edge/call_machine.h"
#include "edge/health_gate.h"
#include "edge/miss_ledger.h"

namespace hm::edge {
namespace {

struct Step {
  Event event;
  Command command;
  State state;
};

void play(const std::vector<Step>& steps) {
  CallMachine machine;
  for (size_t i = 0; i < steps.size(); ++i) {
    INFO("step " << i);
    CHECK(machine.on(steps[i].event) == steps[i].command);
    CHECK(machine.state() == steps[i].state);
  }
}

constexpr Event kAllEvents[] = {
    Event::llm_open,     Event::llm_closed, Event::other_host,  Event::bad_head, Event::accepted,
    Event::not_accepted, Event::connected,  Event::dial_failed, Event::far_lost, Event::ended};

// The shortest way to each state.
std::vector<Event> way_to(State state) {
  switch (state) {
    case State::reading_head:
      return {};
    case State::asking:
      return {Event::llm_open};
    case State::dialing_origin:
      return {Event::other_host};
    case State::metered:
      return {Event::llm_open, Event::accepted};
    case State::rescuing:
      return {Event::llm_open, Event::accepted, Event::far_lost};
    case State::raw:
      return {Event::other_host, Event::connected};
    case State::closed:
      return {Event::bad_head};
  }
  return {};
}

Miss miss(std::string host, std::string reason, int64_t at_us, int64_t bytes = 1) {
  Miss one;
  one.host = std::move(host);
  one.reason = std::move(reason);
  one.at_us = at_us;
  one.bytes_up = bytes;
  one.bytes_down = 2 * bytes;
  one.duration_us = 3 * bytes;
  one.client_port = 50'000;
  one.call_id = "c";
  return one;
}

constexpr int64_t kHour = 3'600'000'000;

}  // namespace

TEST_CASE("the ways of a call") {
  SECTION("metered") {
    play({{Event::llm_open, Command::ask, State::asking},
          {Event::accepted, Command::splice_metered, State::metered},
          {Event::ended, Command::close, State::closed}});
  }
  SECTION("any other host") {
    play({{Event::other_host, Command::dial, State::dialing_origin},
          {Event::connected, Command::splice_raw, State::raw},
          {Event::ended, Command::close, State::closed}});
  }
  SECTION("closed gate, dead origin") {
    play({{Event::llm_closed, Command::dial, State::dialing_origin},
          {Event::dial_failed, Command::refuse, State::closed}});
  }
  SECTION("refused ask") {
    play({{Event::llm_open, Command::ask, State::asking},
          {Event::not_accepted, Command::dial, State::dialing_origin},
          {Event::connected, Command::splice_raw, State::raw}});
  }
  SECTION("rescue") {
    play({{Event::llm_open, Command::ask, State::asking},
          {Event::accepted, Command::splice_metered, State::metered},
          {Event::far_lost, Command::dial, State::rescuing},
          {Event::connected, Command::replace_far, State::raw}});
  }
}

TEST_CASE("every event in every state: no call is stuck, and no closed call acts") {
  const auto state = GENERATE(State::reading_head, State::asking, State::dialing_origin,
                              State::metered, State::rescuing, State::raw, State::closed);
  for (const Event event : kAllEvents) {
    INFO("state " << static_cast<int>(state) << ", event " << static_cast<int>(event));
    CallMachine machine;
    for (const Event step : way_to(state)) static_cast<void>(machine.on(step));
    REQUIRE(machine.state() == state);
    const Command command = machine.on(event);
    if (state == State::closed) {
      CHECK(command == Command::none);
      CHECK(machine.state() == State::closed);
      continue;
    }
    CHECK(command != Command::none);
    if (event == Event::ended) CHECK(machine.state() == State::closed);
    // Bytes are spliced only to where a connection was reported.
    if (command == Command::splice_metered) CHECK(event == Event::accepted);
    if (command == Command::splice_raw || command == Command::replace_far)
      CHECK(event == Event::connected);
    // Whatever an ask ends with, short of a yes, is a detour.
    if (state == State::asking && event != Event::accepted && event != Event::ended)
      CHECK(command == Command::dial);
  }
}

TEST_CASE("the gate opens and closes by consecutive knocks") {
  HealthGate gate;
  CHECK_FALSE(gate.open());
  CHECK(gate.undecided());
  CHECK_FALSE(gate.on_knock(Knock::full));
  CHECK_FALSE(gate.undecided());
  CHECK(gate.on_knock(Knock::good));  // nothing was known against it
  CHECK(gate.open());

  SECTION("three silent knocks close it, two do not") {
    CHECK_FALSE(gate.on_knock(Knock::silent));
    CHECK_FALSE(gate.on_knock(Knock::silent));
    CHECK_FALSE(gate.on_knock(Knock::good));
    CHECK_FALSE(gate.on_knock(Knock::silent));
    CHECK_FALSE(gate.on_knock(Knock::silent));
    CHECK(gate.on_knock(Knock::silent));
    CHECK_FALSE(gate.open());
  }
  SECTION("a 503 does not close it, and ends a row of silence") {
    for (int i = 0; i < 5; ++i) CHECK_FALSE(gate.on_knock(Knock::full));
    CHECK_FALSE(gate.on_knock(Knock::silent));
    CHECK_FALSE(gate.on_knock(Knock::silent));
    CHECK_FALSE(gate.on_knock(Knock::full));
    CHECK_FALSE(gate.on_knock(Knock::silent));
    CHECK(gate.open());
  }
  SECTION("one failed ask or refused knock closes it; then it takes two good ones in a row") {
    CHECK((GENERATE(true, false) ? gate.on_ask_failed() : gate.on_knock(Knock::refused)));
    CHECK_FALSE(gate.open());
    CHECK_FALSE(gate.on_ask_failed());
    const Knock between = GENERATE(Knock::full, Knock::silent, Knock::refused);
    CHECK_FALSE(gate.on_knock(Knock::good));
    CHECK_FALSE(gate.on_knock(between));
    CHECK_FALSE(gate.on_knock(Knock::good));
    CHECK(gate.on_knock(Knock::good));
    CHECK(gate.open());
  }
}

TEST_CASE("the ledger hands over in order, and forgets what was acknowledged") {
  MissLedger ledger;
  CHECK(ledger.empty());
  for (int i = 0; i < 5; ++i) ledger.add(miss("h", "gate_closed", i));
  CHECK(ledger.calls() == 5);
  const auto first = ledger.offer(2);
  REQUIRE(first.size() == 2);
  CHECK(first[0].at_us == 0);
  CHECK(first[0].sequence < first[1].sequence);
  ledger.acknowledge(INT64_MAX);  // more than was offered
  CHECK(ledger.entries() == 3);
  ledger.acknowledge(first[0].sequence);  // an old one again
  CHECK(ledger.entries() == 3);
  CHECK(ledger.offer()[0].at_us == 2);
  ledger.acknowledge(INT64_MAX);
  CHECK(ledger.empty());
  CHECK(ledger.calls() == 0);
}

TEST_CASE("a call is entered when it begins, and told when it is over") {
  MissLedger ledger;
  const auto first = ledger.begin(miss("h", "gate_closed", 1, 0));
  const auto second = ledger.begin(miss("h", "ask_full", 2, 0));
  CHECK(ledger.empty());
  CHECK(ledger.open_entries() == 2);
  ledger.complete(second, miss("h", "ask_full", 2, 7));
  const auto told = ledger.offer();
  REQUIRE(told.size() == 1);
  CHECK(told[0].bytes_up == 7);
  // The first is over between the offer and its acknowledgement: it was not seen.
  ledger.complete(first, miss("h", "gate_closed", 1, 9));
  ledger.acknowledge(told[0].sequence);
  REQUIRE(ledger.entries() == 1);
  CHECK(ledger.offer()[0].reason == "gate_closed");
  CHECK(ledger.open_entries() == 0);
}

TEST_CASE("more open tunnels than the ledger enters are counted at their end") {
  MissLedger ledger;
  size_t entered = 0;
  for (size_t i = 0; i < MissLedger::kMaxOpen + 10; ++i)
    if (ledger.begin(miss("h", "gate_closed", 1)) != MissLedger::kNone) ++entered;
  CHECK(entered == MissLedger::kMaxOpen);
  ledger.complete(MissLedger::kNone, miss("h", "gate_closed", 1));
  CHECK(ledger.calls() == 1);
}

namespace {

// Everything that the ledger has, as an interceptor would take it over.
std::vector<Miss> take_all(MissLedger& ledger) {
  std::vector<Miss> all;
  while (!ledger.empty()) {
    const auto some = ledger.offer();
    REQUIRE(some.size() <= MissLedger::kMaxOffered);
    all.insert(all.end(), some.begin(), some.end());
    ledger.acknowledge(some.back().sequence);
  }
  return all;
}

int64_t calls_in(const std::vector<Miss>& list) {
  int64_t sum = 0;
  for (const Miss& one : list) sum += one.count;
  return sum;
}

}  // namespace

TEST_CASE("a full ledger becomes coarser and loses no call") {
  MissLedger ledger;
  int64_t calls = 0;
  int64_t bytes = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto host = "h" + std::to_string(i % 3);
    ledger.add(miss(host, i % 2 == 0 ? "gate_closed" : "ask_full", (i / 5'000) * kHour, i));
    ++calls;
    bytes += i;
    REQUIRE(ledger.entries() <= MissLedger::kMaxEntries);
  }
  CHECK(ledger.calls() == calls);
  int64_t up = 0;
  int64_t down = 0;
  const auto all = take_all(ledger);
  for (const Miss& one : all) {
    up += one.bytes_up;
    down += one.bytes_down;
    if (one.count > 1) CHECK(one.call_id.empty());
  }
  CHECK(calls_in(all) == calls);
  CHECK(up == bytes);
  CHECK(down == 2 * bytes);
}

TEST_CASE("years of misses stay bounded") {
  MissLedger ledger;
  for (int i = 0; i < 3 * 4096; ++i) ledger.add(miss("h", "gate_closed", i * kHour));
  CHECK(ledger.entries() <= MissLedger::kMaxEntries);
  CHECK(ledger.calls() == 3 * 4096);
}

TEST_CASE("thousands of hosts and all slots open: still bounded, still every call") {
  MissLedger ledger;
  for (size_t i = 0; i < MissLedger::kMaxOpen; ++i)
    REQUIRE(ledger.begin(miss("open", "gate_closed", 1)) != MissLedger::kNone);
  ledger.add(miss("h", "gate_closed", 0));
  REQUIRE(ledger.offer().size() == 1);  // stays as it is
  for (int i = 0; i < 10'000; ++i)
    ledger.add(miss("host" + std::to_string(i), "gate_closed", i * kHour));
  CHECK(ledger.calls() == 10'001);
  CHECK(ledger.offer()[0].count == 1);
}

TEST_CASE("what was offered is never summed, so that no acknowledgement takes more than was seen") {
  MissLedger ledger;
  for (size_t i = 0; i < MissLedger::kMaxEntries; ++i) ledger.add(miss("h", "gate_closed", 0));
  const auto seen = ledger.offer();
  ledger.add(miss("h", "gate_closed", 0));  // sums the others
  CHECK(ledger.entries() < 1'000);
  // Asked again, they come again, under the same names.
  const auto again = ledger.offer();
  REQUIRE(again.size() == seen.size());
  for (size_t i = 0; i < seen.size(); ++i) {
    CHECK(again[i].number == seen[i].number);
    CHECK(again[i].count == 1);
  }
  ledger.acknowledge(seen.back().sequence);
  CHECK(ledger.calls() == static_cast<int64_t>(MissLedger::kMaxEntries + 1 - seen.size()));
  CHECK(calls_in(take_all(ledger)) ==
        static_cast<int64_t>(MissLedger::kMaxEntries + 1 - seen.size()));
}

}  // namespace hm::edge
