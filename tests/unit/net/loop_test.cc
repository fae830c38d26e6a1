#include "common/net/loop.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include "common/net/timer.h"
#include "common/net/work.h"
#include "tests/unit/net/net_support.h"

using namespace hm::net;
using namespace hm::net::test;

TEST_CASE("a loop with nothing to do returns, and so does its end", "[loop]") {
  Loop loop;
  loop.run();
  int ran = 0;
  loop.post([&] { ++ran; });
  loop.post([&] { loop.post([&] { ++ran; }); });
  loop.run();
  CHECK(ran == 2);
}

TEST_CASE("posts come from any thread, in order, and are dropped after the end", "[loop]") {
  auto loop = std::make_unique<Loop>();
  std::vector<int> seen;
  Timer keep(*loop, [] {});
  keep.start_once(60'000);
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) loop->post([&seen, i] { seen.push_back(i); });
    loop->post([&] { loop->stop(); });
  });
  loop->run();
  other.join();
  REQUIRE(seen.size() == 1000);
  for (int i = 0; i < 1000; ++i) CHECK(seen[static_cast<size_t>(i)] == i);

  keep.stop();
}

TEST_CASE("what a dropped post held is freed before the handles are", "[loop]") {
  auto loop = std::make_unique<Loop>();
  auto socket = std::make_shared<TcpSocket>(std::move(make_pair(*loop).inside));
  loop->post([socket] { FAIL("must not run"); });
  socket.reset();
  loop.reset();
}

TEST_CASE("the buried die when the stack is clean, and may bury others", "[loop]") {
  struct Mourner {
    Loop& loop;
    int& deaths;
    int generations;
    Mourner(Loop& l, int& d, int g) : loop(l), deaths(d), generations(g) {}
    ~Mourner() {
      ++deaths;
      if (generations > 0) loop.bury(std::make_unique<Mourner>(loop, deaths, generations - 1));
    }
  };
  int deaths = 0;
  int deaths_inside = -1;
  {
    Loop loop;
    Timer timer(loop, [&] {
      loop.bury(std::make_unique<Mourner>(loop, deaths, 2));
      deaths_inside = deaths;
    });
    timer.start_once(0);
    loop.run();
    CHECK(deaths == 3);
    loop.bury(std::make_unique<Mourner>(loop, deaths, 1));  // outside of run(): at the end
  }
  CHECK(deaths_inside == 0);
  CHECK(deaths == 5);
}

TEST_CASE("timers: once, repeating, restarted, destroyed inside", "[timer]") {
  Loop loop;
  int once = 0;
  int many = 0;
  Timer first(loop, [&] { ++once; });
  Timer second(loop, [&] {
    if (++many == 3) loop.stop();
  });
  first.start_once(1);
  CHECK(first.running());
  second.start_repeating(1);
  loop.run();
  CHECK(once == 1);
  CHECK_FALSE(first.running());
  CHECK(many == 3);
  second.stop();

  auto suicidal = std::unique_ptr<Timer>();
  std::string captured = "long enough to live on the heap, so that a sanitizer sees it die";
  std::string after;
  suicidal = std::make_unique<Timer>(loop, [&suicidal, &after, captured] {
    suicidal.reset();
    after = captured;  // still there
  });
  suicidal->start_repeating(0);
  loop.run();
  CHECK(after == captured);

  first.start_once(30'000);
  first.start_once(1);
  loop.run();
  CHECK(once == 2);
}

TEST_CASE("a signal is told on the loop", "[loop]") {
  Loop loop;
  int told = 0;
  std::unique_ptr<SignalWatch> watch;
  watch = std::make_unique<SignalWatch>(loop, SIGUSR1, [&] {
    ++told;
    watch.reset();
  });
  raise(SIGUSR1);
  loop.run();
  CHECK(told == 1);
}

TEST_CASE("work runs elsewhere and answers here", "[work]") {
  Loop loop;
  Work work(loop);
  const auto here = std::this_thread::get_id();
  std::thread::id there;
  std::thread::id back;
  int answer = 0;
  REQUIRE(work.start<int>(
      [&] {
        there = std::this_thread::get_id();
        return 42;
      },
      [&](int value) {
        back = std::this_thread::get_id();
        answer = value;
      }));
  CHECK(work.busy());
  CHECK_FALSE(work.start<int>([] { return 1; }, [](int) {}));
  loop.run();
  CHECK(answer == 42);
  CHECK(there != here);
  CHECK(back == here);
  CHECK_FALSE(work.busy());
}

TEST_CASE("work: cancelled, destroyed, throwing, destroyed inside done", "[work]") {
  Loop loop;
  std::atomic<bool> go = false;
  std::atomic<int> ran = 0;
  bool told = false;
  {
    Work dying(loop);
    REQUIRE(dying.start<int>(
        [&] {
          while (!go) std::this_thread::yield();
          return ++ran;
        },
        [&](int) { told = true; }));
  }
  Work cancelled(loop);
  REQUIRE(cancelled.start<int>([&] { return ++ran; }, [&](int) { told = true; }));
  cancelled.cancel();
  CHECK_FALSE(cancelled.busy());
  go = true;
  loop.run();
  CHECK_FALSE(told);

  int value = -1;
  Work throwing(loop);
  REQUIRE(throwing.start<int>([]() -> int { throw 1; }, [&](int v) { value = v; }));
  loop.run();
  CHECK(value == 0);

  auto inside = std::make_unique<Work>(loop);
  REQUIRE(inside->start<std::string>([] { return std::string(100, 'x'); },
                                     [&](std::string) { inside.reset(); }));
  loop.run();
  CHECK(inside == nullptr);
}

TEST_CASE("a loop waits at its end for jobs, and throws their results away", "[work]") {
  std::atomic<bool> began = false;
  std::atomic<bool> finished = false;
  bool told = false;
  {
    Loop loop;
    Work work(loop);
    REQUIRE(work.start<int>(
        [&] {
          began = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
          finished = true;
          return 1;
        },
        [&](int) { told = true; }));
    while (!began) std::this_thread::yield();  // one that has not begun would be taken back
  }
  CHECK(finished);
  CHECK_FALSE(told);
}
