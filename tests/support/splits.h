// Feeds the same bytes in many ways: whole, byte by byte, in sevens, in growing primes, at seeded
// random cuts. Whatever a push parser says must not depend on where its input was cut.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/base/bytes.h"

namespace hm::test {

struct Split {
  std::string name;
  std::vector<size_t> sizes;  // of the pieces; the last size repeats until the input is used up
};

inline std::vector<Split> standard_splits(size_t length, int random_rounds = 4) {
  std::vector<Split> splits{{"whole", {length == 0 ? 1 : length}},
                            {"bytes", {1}},
                            {"sevens", {7}},
                            {"primes", {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43}}};
  for (int round = 0; round < random_rounds; ++round) {
    std::mt19937 engine(static_cast<uint32_t>(round) * 7919U + 17U);
    std::uniform_int_distribution<size_t> size(1, std::max<size_t>(2, length / 3));
    Split split{"random " + std::to_string(round), {}};
    for (size_t used = 0; used < length;) {
      split.sizes.push_back(size(engine));
      used += split.sizes.back();
    }
    if (split.sizes.empty()) split.sizes.push_back(1);
    splits.push_back(std::move(split));
  }
  return splits;
}

// Calls feed(piece) for each piece. The pieces are copies of exact size, so that a sanitizer sees
// any read past their end.
template <class Feed>
void feed_split(Bytes input, const Split& split, Feed&& feed) {
  size_t index = 0;
  while (!input.empty()) {
    const size_t size =
        std::min(input.size(), split.sizes[std::min(index, split.sizes.size() - 1)]);
    const std::vector<uint8_t> piece(input.begin(),
                                     input.begin() + static_cast<std::ptrdiff_t>(size));
    feed(Bytes(piece));
    input = input.subspan(size);
    ++index;
  }
}

}  // namespace hm::test
