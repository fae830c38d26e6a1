#include "interceptor/relay/trust_memory.h"

#include <catch2/catch.hpp>

using hm::ManualClock;
using hm::relay::Refusal;
using hm::relay::TrustMemory;

namespace {

constexpr int64_t kHour = 3600LL * 1'000'000;

Refusal refusal(const std::string& host, const std::string& shape) {
  Refusal made;
  made.host = host;
  made.shape = shape;
  made.reason = "unknown_ca";
  return made;
}

}  // namespace

TEST_CASE("a refusal holds for its host and shape, for its time") {
  ManualClock clock;
  TrustMemory memory(clock, kHour);
  CHECK_FALSE(memory.distrusts("api.openai.com", "a"));
  memory.remember(refusal("api.openai.com", "a"));
  CHECK(memory.distrusts("api.openai.com", "a"));
  CHECK_FALSE(memory.distrusts("api.openai.com", "b"));
  CHECK_FALSE(memory.distrusts("api.anthropic.com", "a"));
  clock.advance_us(kHour - 1);
  CHECK(memory.distrusts("api.openai.com", "a"));
  REQUIRE(memory.refusals().size() == 1);
  CHECK(memory.refusals()[0].tunnelled == 2);
  clock.advance_us(1);
  CHECK_FALSE(memory.distrusts("api.openai.com", "a"));
  CHECK(memory.refusals().empty());
}

TEST_CASE("a clock that was ahead for a moment does not make it longer") {
  ManualClock clock;
  TrustMemory memory(clock, kHour);
  const int64_t right = clock.wall_us();
  clock.set_wall_us(right + 480 * kHour);
  memory.remember(refusal("h", "a"));
  clock.set_wall_us(right);
  CHECK(memory.distrusts("h", "a"));
  clock.advance_us(kHour);
  CHECK_FALSE(memory.distrusts("h", "a"));
}

TEST_CASE("refusing again starts the time again and is one entry") {
  ManualClock clock;
  TrustMemory memory(clock, kHour);
  memory.remember(refusal("h", "a"));
  clock.advance_us(kHour / 2);
  memory.remember(refusal("h", "a"));
  CHECK(memory.refusals().size() == 1);
  clock.advance_us(kHour - 1);
  CHECK(memory.distrusts("h", "a"));
}

TEST_CASE("trust is remembered until it is withdrawn") {
  ManualClock clock;
  TrustMemory memory(clock, kHour);
  CHECK_FALSE(memory.ever_trusted("h", "a"));
  memory.trusted("h", "a");
  CHECK(memory.ever_trusted("h", "a"));
  memory.remember(refusal("h", "a"));
  CHECK_FALSE(memory.ever_trusted("h", "a"));
}

TEST_CASE("both memories are bounded") {
  ManualClock clock;
  TrustMemory memory(clock, kHour);
  for (int i = 0; i < 600; ++i) memory.remember(refusal("h", std::to_string(i)));
  CHECK(memory.refusals().size() == 512);
  CHECK_FALSE(memory.distrusts("h", "0"));
  CHECK(memory.distrusts("h", "599"));
  for (int i = 0; i < 2100; ++i) memory.trusted("t", std::to_string(i));
  CHECK_FALSE(memory.ever_trusted("t", "0"));
  CHECK(memory.ever_trusted("t", "2099"));
}

TEST_CASE("a silent end: a refusal from a stranger, one doubt for a friend") {
  ManualClock clock;
  TrustMemory memory(clock, kHour);
  CHECK(memory.silent_end_is_refusal("h", "a"));
  memory.trusted("h", "a");
  CHECK_FALSE(memory.silent_end_is_refusal("h", "a"));
  memory.trusted("h", "a");  // it spoke in between
  CHECK_FALSE(memory.silent_end_is_refusal("h", "a"));
  CHECK(memory.silent_end_is_refusal("h", "a"));
}

TEST_CASE("a refusal is named when the name is known") {
  ManualClock clock;
  TrustMemory memory(clock, kHour);
  memory.remember(refusal("h", "a"));
  memory.remember(refusal("h", "b"));
  memory.name_client("h", "a", "node", 7);
  for (const Refusal& told : memory.refusals())
    CHECK(told.client == (told.shape == "a" ? "node" : ""));
  memory.name_client("h", "a", "other", 8);
  CHECK(memory.refusals()[1].client_pid == 7);
}

TEST_CASE("refusals outlive the process as text, with the time that is left") {
  ManualClock clock;
  TrustMemory memory(clock, kHour);
  int changes = 0;
  memory.on_change([&] { ++changes; });
  memory.remember(refusal("h", "shape with blanks = and %"));
  clock.advance_us(kHour / 2);
  memory.remember(refusal("later", "b"));
  memory.name_client("later", "b", "node", 77);
  CHECK(changes == 3);

  TrustMemory next(clock, kHour);
  next.load(memory.save());
  REQUIRE(next.refusals().size() == 2);
  CHECK(next.refusals()[0].host == "later");  // newest first
  CHECK(next.refusals()[0].client == "node");
  CHECK(next.refusals()[0].client_pid == 77);
  CHECK(next.refusals()[0].reason == "unknown_ca");
  CHECK(next.distrusts("h", "shape with blanks = and %"));
  clock.advance_us(kHour / 2);
  CHECK_FALSE(next.distrusts("h", "shape with blanks = and %"));
  CHECK(next.distrusts("later", "b"));

  TrustMemory late(clock, kHour);
  late.load(memory.save());
  CHECK(late.refusals().size() == 1);
  memory.forget_all();
  CHECK(changes == 4);
  CHECK(memory.save().empty());
}

TEST_CASE("a file of refusals that makes no sense is none") {
  ManualClock clock;
  clock.advance_us(kHour);
  TrustMemory memory(clock, kHour);
  memory.load("nonsense\n\nhost=a\nhost=a shape=b until_us=x\nhost=a shape=b until_us=5\n");
  CHECK(memory.refusals().empty());
  // Of a clock that was ahead: no longer than an hour from now.
  memory.load("host=a shape=b until_us=9000000000000000000");
  REQUIRE(memory.refusals().size() == 1);
  CHECK(memory.refusals()[0].until_us == clock.wall_us() + kHour);
}
