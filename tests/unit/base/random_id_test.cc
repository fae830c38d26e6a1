#include "common/base/random_id.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace hm {

TEST_CASE("ids of many threads are all different, and of their shape") {
  std::mutex mutex;
  std::set<std::string> all;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      std::set<std::string> own;
      for (int n = 0; n < 1000; ++n) {
        own.insert(ordered_hex_id());
        own.insert(random_uuid());
        own.insert(random_hex_id());
      }
      const std::lock_guard lock(mutex);
      all.merge(own);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(all.size() == 12'000);
  const std::string id = ordered_uuid();
  CHECK(id.size() == 36);
  CHECK(id[14] == '7');
  CHECK(random_uuid()[14] == '4');
}

TEST_CASE("a forked child does not repeat its parent's ids") {
  static_cast<void>(random_hex_id());  // there is something in store
  int ends[2] = {};
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string id = random_hex_id();
    const bool written = ::write(ends[1], id.data(), id.size()) == 32;
    ::_exit(written ? 0 : 1);
  }
  REQUIRE(child > 0);
  ::close(ends[1]);
  std::string told(32, '\0');
  CHECK(::read(ends[0], told.data(), told.size()) == 32);
  ::close(ends[0]);
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(told != random_hex_id());
}

}  // namespace hm
