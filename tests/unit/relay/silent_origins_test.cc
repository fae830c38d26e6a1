#include "interceptor/relay/silent_origins.h"

#include <catch2/catch.hpp>

using hm::ManualClock;
using hm::relay::SilentOrigins;

TEST_CASE("a silent origin is avoided for half a minute, and longer each time in a row") {
  ManualClock clock;
  SilentOrigins memory(clock);
  CHECK_FALSE(memory.avoid("api.x.ai", 443));
  int64_t keep = SilentOrigins::kFirstUs;
  for (int time = 0; time < 8; ++time) {
    INFO(time);
    memory.was_silent("api.x.ai", 443);
    memory.was_silent("api.x.ai", 443);  // a second one that had waited as well
    CHECK(memory.avoid("api.x.ai", 443));
    CHECK_FALSE(memory.avoid("api.x.ai", 8443));
    CHECK_FALSE(memory.avoid("api.openai.com", 443));
    REQUIRE(memory.avoided().size() == 1);
    CHECK(memory.avoided()[0].times == time + 1);
    CHECK(memory.avoided()[0].left_us == keep);
    clock.advance_us(keep - 1);
    CHECK(memory.avoid("api.x.ai", 443));
    clock.advance_us(1);
    CHECK_FALSE(memory.avoid("api.x.ai", 443));
    CHECK(memory.avoided().empty());
    keep = std::min(2 * keep, SilentOrigins::kMostUs);
  }
  memory.was_silent("api.x.ai", 443);
  CHECK(memory.avoided()[0].tunnelled == 16);
  memory.answered("api.x.ai", 443);
  CHECK_FALSE(memory.avoid("api.x.ai", 443));
  memory.was_silent("api.x.ai", 443);
  CHECK(memory.avoided()[0].left_us == SilentOrigins::kFirstUs);
  memory.forget_all();
  CHECK_FALSE(memory.avoid("api.x.ai", 443));
}

TEST_CASE("no more silent origins are known than the bound; the oldest goes") {
  ManualClock clock;
  SilentOrigins memory(clock);
  for (size_t i = 0; i < SilentOrigins::kMax + 10; ++i) {
    memory.was_silent("host-" + std::to_string(i), 443);
    clock.advance_us(1);
  }
  CHECK(memory.avoided().size() == SilentOrigins::kMax);
  CHECK_FALSE(memory.avoid("host-9", 443));
  CHECK(memory.avoid("host-10", 443));
}
