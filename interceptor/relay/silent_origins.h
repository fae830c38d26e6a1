// Origins that take our ClientHello and do not answer it, as some middleboxes do with a hello that
// they do not know. The connection that finds that out waits for the handshake's limit and is then
// tunnelled raw; those after it need not wait: they are raw from the start, for half a minute at
// first, twice as long each time it happens again, up to ten minutes. One answer ends that.
//
// Relay-loop thread only. Bounded: 256 origins; the one whose time is over first goes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"

namespace hm::relay {

struct SilentOrigin {
  std::string host;
  uint16_t port = 0;
  int64_t times = 0;      // in a row
  int64_t tunnelled = 0;  // connections sent raw because of it, since it last answered
  int64_t left_us = 0;    // until it is tried again
};

class SilentOrigins {
 public:
  static constexpr size_t kMax = 256;
  static constexpr int64_t kFirstUs = 30'000'000;
  static constexpr int64_t kMostUs = 600'000'000;

  explicit SilentOrigins(const Clock& clock) : clock_(clock) {}

  // True when it is not to be asked now; counts the connection that goes raw.
  [[nodiscard]] bool avoid(const std::string& host, uint16_t port);
  void was_silent(const std::string& host, uint16_t port);
  void answered(const std::string& host, uint16_t port);
  void forget_all() { known_.clear(); }

  [[nodiscard]] std::vector<SilentOrigin> avoided() const;  // now

 private:
  struct Entry {
    int64_t until_us = 0;  // steady
    int64_t times = 0;
    int64_t tunnelled = 0;
  };

  const Clock& clock_;
  std::map<std::pair<std::string, uint16_t>, Entry> known_;
};

}  // namespace hm::relay
