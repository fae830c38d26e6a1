// Who refused our certificate. A client that does so loses one call; from then on its connections
// to that host are tunnelled raw for an hour, so that the tool works, unmetered and named in
// `status`.
//
// The key is the host and the shape of the ClientHello, since one program may trust us with one of
// its TLS stacks and not with another. Some stacks (Node) finish the handshake and then hang up
// without a byte; that counts as a refusal from a shape that was never seen to trust us, and the
// second time in a row from one that was.
//
// Relay-loop thread only. Bounded: 512 refusals (the oldest goes), 2048 trusting shapes.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"

namespace hm::relay {

struct Refusal {
  std::string host;
  std::string shape;
  std::string client;  // process name, may be empty
  std::string reason;  // "unknown_ca", "hung_up_after_handshake", ...
  int64_t client_pid = 0;
  int64_t since_us = 0;   // wall
  int64_t until_us = 0;   // wall
  int64_t tunnelled = 0;  // connections sent raw because of it
};

class TrustMemory {
 public:
  TrustMemory(const Clock& clock, int64_t keep_us) : clock_(clock), keep_us_(keep_us) {}

  // True when this client is to be tunnelled; counts the tunnelled connection.
  [[nodiscard]] bool distrusts(const std::string& host, const std::string& shape);
  void remember(Refusal refusal);
  void trusted(const std::string& host, const std::string& shape);
  // A client of this shape hung up in or right after the handshake without a word. True: take it
  // for a refusal. A shape that has trusted us before gets one doubt: the process may just have
  // been killed; but another program of the same shape may not know our CA, and its calls would
  // all fail.
  [[nodiscard]] bool silent_end_is_refusal(const std::string& host, const std::string& shape);
  // The client's name became known after its refusal.
  void name_client(const std::string& host, const std::string& shape, const std::string& client,
                   int64_t pid);
  [[nodiscard]] bool ever_trusted(const std::string& host, const std::string& shape) const;
  void keep_for(int64_t keep_us) { keep_us_ = keep_us; }  // refusals from now on
  void forget_all();  // `reload`, after the user mended the client's environment

  // The refusals in force as text, one a line, so that a restart of ours does not cost every such
  // client another call; and back, without those whose time is over or that make no sense.
  [[nodiscard]] std::string save() const;
  void load(std::string_view text);
  // Called after remember(), name_client() and forget_all() have changed something.
  void on_change(std::function<void()> tell) { tell_ = std::move(tell); }

  [[nodiscard]] std::vector<Refusal> refusals() const;  // those still in force, newest first

 private:
  static constexpr size_t kMaxRefusals = 512;
  static constexpr size_t kMaxTrusting = 2048;
  static constexpr int kSilentEnds = 2;  // in a row
  using Key = std::pair<std::string, std::string>;
  struct Trust {
    uint64_t tick = 0;
    int silent_ends = 0;  // since it last spoke
  };

  const Clock& clock_;
  int64_t keep_us_;
  std::list<Refusal> refusals_;  // newest first
  std::map<Key, Trust> trusting_;
  uint64_t tick_ = 0;
  std::function<void()> tell_ = [] {};
};

}  // namespace hm::relay
