#include "common/base/byte_queue.h"

#include <catch2/catch.hpp>

using hm::as_bytes;
using hm::ByteQueue;

TEST_CASE("a byte queue gives back what went in, in order") {
  ByteQueue queue;
  std::string expected;
  for (int i = 0; i < 5000; ++i) {
    const std::string piece(static_cast<size_t>(i % 37), static_cast<char>('a' + i % 26));
    REQUIRE(queue.append(as_bytes(piece)));
    expected += piece;
  }
  REQUIRE(queue.size() == expected.size());
  CHECK(queue.copy_all() == expected);
  std::string got;
  while (!queue.empty()) {
    const auto run = queue.front();
    const size_t take = std::min<size_t>(run.size(), 1000);
    got.append(hm::as_text(run.first(take)));
    queue.consume(take);
  }
  CHECK(got == expected);
}

TEST_CASE("a full byte queue refuses the whole span and keeps what it has") {
  ByteQueue queue(10);
  CHECK(queue.append(as_bytes("12345678")));
  CHECK_FALSE(queue.append(as_bytes("abc")));
  CHECK(queue.append(as_bytes("90")));
  CHECK(queue.copy_all() == "1234567890");
}
