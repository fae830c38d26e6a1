#include "common/net/fd_watch.h"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/net/loop.h"
#include "common/net/timer.h"

TEST_CASE("a lifeline says once that its other end is gone") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  hm::net::Loop loop;
  int told = 0;
  hm::net::FdWatch watch(loop, [&] {
    ++told;
    loop.stop();
  });
  REQUIRE(watch.start(ends[0]));
  int told_before_close = -1;
  hm::net::Timer closer(loop, [&] {
    told_before_close = told;
    ::close(ends[1]);
  });
  REQUIRE(::write(ends[1], "noise", 5) == 5);  // what is written is nobody's business
  closer.start_once(30);
  hm::net::Timer deadline(loop, [&] { loop.stop(); });
  deadline.start_once(10'000);
  loop.run();
  CHECK(told_before_close == 0);
  CHECK(told == 1);
}
