// Sessions that origins have offered to resume (RFC 8446 2.2): the next connection to the same name
// with the same offer spares both ends the certificates. Private to this folder; relay-loop thread
// only.
//
// What a resumed connection relies on is the verification of the first one, so a session is used
// for ten minutes after that and no longer, however often it was renewed. An origin with which a
// resumed handshake came to nothing is shaken hands with in full for as long.
//
// Bounds: 32 keys, 4 sessions each; the longest unused key goes first.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"

namespace hm::tls {

class OriginSessions {
 public:
  static constexpr int64_t kLifeUs = 600'000'000;
  static constexpr size_t kMostKeys = 32;
  static constexpr size_t kMostOfKey = 4;

  struct Session {
    bssl::UniquePtr<SSL_SESSION> session;
    int64_t verified_at_us = 0;  // steady
  };

  explicit OriginSessions(const Clock& clock) : clock_(clock) {}

  // The youngest. One that is for a single use (TLS 1.3) is gone from here.
  [[nodiscard]] std::optional<Session> take(const std::string& key);
  void keep(const std::string& key, Session session);
  void give_up(const std::string& key);

  [[nodiscard]] int64_t now_us() const { return clock_.steady_us(); }

 private:
  struct Kept {
    std::vector<Session> sessions;  // the youngest last
    int64_t used_at_us = 0;
    int64_t not_before_us = 0;  // given up until then
  };
  void make_room();

  const Clock& clock_;
  std::map<std::string, Kept> kept_;
};

}  // namespace hm::tls
