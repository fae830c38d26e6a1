#include "common/base/counters.h"
#include "tests/unit/store/fixture.h"

using namespace hm;
using namespace hm::store;

TEST_CASE("the queue hands over everything at once") {
  RecordQueue queue;
  CHECK_FALSE(queue.wait(milliseconds(1)));
  CHECK(queue.push(sample_call()));
  CHECK(queue.push(sample_miss()));
  CHECK(queue.depth() == 2);
  CHECK(queue.wait(milliseconds(0)));
  const QueuedRows rows = queue.take();
  CHECK(rows.calls.size() == 1);
  CHECK(rows.misses.size() == 1);
  CHECK(rows.dropped == 0);
  CHECK(queue.depth() == 0);
  CHECK(queue.accepted() == 2);
}

TEST_CASE("a full queue drops and counts") {
  const int64_t before = counters::get("store.dropped").value();
  SECTION("by rows") {
    RecordQueue queue({3, 1 << 20});
    for (int i = 0; i < 5; ++i) CHECK(queue.push(sample_call()) == (i < 3));
    CHECK_FALSE(queue.push(sample_miss()));
    CHECK(queue.take().dropped == 3);
    CHECK(queue.push(sample_call()));
    CHECK(queue.take().dropped == 0);
    CHECK(counters::get("store.dropped").value() == before + 3);
  }
  SECTION("by bytes") {
    RecordQueue queue({1000, 10'000});
    CallRecord big = sample_call();
    big.attribution.cwd = std::string(20'000, 'x');
    CHECK_FALSE(queue.push(std::move(big)));
    int kept = 0;
    while (queue.push(sample_call())) ++kept;
    CHECK(kept > 2);
    CHECK(kept < 20);
    const QueuedRows rows = queue.take();
    CHECK(rows.dropped == 2);
    CHECK_FALSE(rows.empty());
  }
}

TEST_CASE("a queue says in time that it will be full") {
  RecordQueue queue({32, 1 << 20});
  for (int i = 0; i < 30; ++i) {
    CHECK(queue.has_room());
    CHECK(queue.push(sample_call()));
  }
  CHECK_FALSE(queue.has_room());
  CHECK(queue.push(sample_call()));  // of a call under way
  CHECK(queue.take().rows() == 31);
  CHECK(queue.has_room());
}

TEST_CASE("close wakes the waiter, pushing still works") {
  RecordQueue queue;
  std::thread waiter([&] {
    CHECK_FALSE(queue.wait(kLong));
    queue.wait_for_rows(1000, kLong);
  });
  queue.close();
  waiter.join();
  CHECK(queue.closed());
  CHECK(queue.push(sample_call()));
  CHECK(queue.wait(milliseconds(0)));
}
