// Private to common/net: names to addresses. getaddrinfo() blocks for as long as the name servers
// are silent, half a minute and more, and libuv lets two of its four threads do that at a time. So
// each look-up has a thread of its own, which nobody waits for, not even the end of the process:
// hung look-ups of one host take nothing from the others.
//
//  - The two families are looked up apart (RFC 8305, section 3): a lost AAAA answer holds up no A.
//  - The same name and family is looked up once at a time; after two seconds of silence once more.
//  - At most 128 threads; beyond, questions wait for one (their askers have a deadline).
//  - The last good addresses are remembered for a day, and used only when the name servers fail, or
//    are silent for 1.8 s (RFC 8767). "No such name" is an answer and forgets them.
//
// One per loop, used on its thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/net/sockaddr.h"
#include "common/net/timer.h"

namespace hm::net {

class Loop;

class Resolver {
 public:
  static constexpr size_t kMaxThreads = 128;
  static constexpr size_t kMaxThreadsPerKey = 2;
  static constexpr int64_t kAskAgainUs = 2'000'000;
  static constexpr int64_t kStaleAfterMs = 1'800;
  static constexpr int64_t kStaleForUs = 24LL * 3600 * 1'000'000;
  static constexpr size_t kMaxRemembered = 2048;
  static constexpr size_t kMaxAddresses = 32;  // of a family: more than any deadline allows to try

  using Addresses = std::vector<SocketAddress>;
  // Blocks, on a thread of its own. not_found: there is none. Anything else may be tried again.
  using Lookup = std::function<Result<Addresses>(const std::string& host, int family)>;

  struct Answer {
    int family = 0;       // AF_INET or AF_INET6; 0: remembered ones
    Addresses addresses;  // port 0; none: nothing of this family
    bool last = false;    // no further answer comes
    Error error;          // why nothing at all was found; meant with `last` only
  };
  using Callback = std::function<void(const Answer&)>;

  // Destroying it takes the question back. The callback may do that.
  class Question {
   public:
    ~Question();
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;

   private:
    friend class Resolver;
    Question(Resolver& resolver, Loop& loop, std::string host, Callback callback);
    void on_family(int family, const Result<Addresses>& result);
    void on_silence();

    Resolver& resolver_;
    const std::string host_;
    Callback callback_;
    Timer silence_;
    uint64_t id_ = 0;
    int pending_ = 2;  // families
    bool found_ = false;
    Error error_{Code::not_found, "dialer.resolve", 0};
  };

  explicit Resolver(Loop& loop);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Never calls back from within.
  [[nodiscard]] std::unique_ptr<Question> ask(std::string host, Callback callback);
  void use(Lookup lookup) { lookup_ = std::move(lookup); }  // tests bring their own
  [[nodiscard]] size_t threads() const { return threads_; }

 private:
  using Key = std::pair<std::string, int>;
  struct Name {
    size_t threads = 0;
    int64_t started_us = 0;
    bool waiting = false;  // for a thread
    std::vector<uint64_t> askers;
  };
  struct Remembered {
    Addresses addresses;
    int64_t at_us = 0;
  };
  struct Shared;

  void look_up(const Key& key);
  void start_waiting();
  void collect();
  void finish(const Key& key, const Result<Addresses>& result);
  void remember(const Key& key, const Result<Addresses>& result);
  [[nodiscard]] Addresses recall(const std::string& host) const;

  Loop& loop_;
  Lookup lookup_;
  std::shared_ptr<Shared> shared_;
  std::map<Key, Name> names_;
  std::map<uint64_t, Question*> questions_;
  std::map<Key, Remembered> memory_;
  std::deque<Key> waiting_;
  size_t threads_ = 0;
  uint64_t next_id_ = 1;
};

// The system's: getaddrinfo().
[[nodiscard]] Result<Resolver::Addresses> system_lookup(const std::string& host, int family);

// The loop's own, made at its first use.
[[nodiscard]] Resolver& resolver_of(Loop& loop);

}  // namespace hm::net
