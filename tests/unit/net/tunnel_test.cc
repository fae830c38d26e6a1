#include "common/net/tunnel.h"

#include <malloc.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <random>

#include "common/base/counters.h"
#include "tests/unit/net/net_support.h"
#include "tests/unit/net/tunnel_rig.h"

using namespace hm;
using namespace hm::net;
using namespace hm::net::test;

namespace {

// An endless, seeded text: what stands at a position is known to both ends.
class Pattern {
 public:
  explicit Pattern(unsigned seed) : bytes_(1'000'003, '\0') {
    std::mt19937 random(seed);
    for (char& c : bytes_) c = static_cast<char>(random());
  }
  [[nodiscard]] std::string_view at(size_t position, size_t at_most) const {
    const size_t offset = position % bytes_.size();
    return std::string_view(bytes_).substr(offset, at_most);
  }
  [[nodiscard]] bool matches(size_t position, std::string_view text) const {
    while (!text.empty()) {
      const std::string_view expected = at(position, text.size());
      if (text.substr(0, expected.size()) != expected) return false;
      position += expected.size();
      text.remove_prefix(expected.size());
    }
    return true;
  }

 private:
  std::string bytes_;
};

}  // namespace

TEST_CASE("64 MiB pass unchanged, both ways at once, with slow readers", "[tunnel]") {
  constexpr size_t kTotal = 64 << 20;
  Loop loop;
  Rig rig(loop);
  rig.start();
  const Pattern up(1);
  const Pattern down(2);
  std::mt19937 random(3);
  size_t up_sent = 0;
  size_t down_sent = 0;
  size_t up_got = 0;
  size_t down_got = 0;
  bool same = true;
  bool client_end = false;
  bool server_end = false;
  const auto pump = [&](const Fd& fd, const Pattern& pattern, size_t& sent) {
    for (int i = 0; i < 4 && sent < kTotal; ++i) {
      sent += fd.send_some(pattern.at(sent, std::min(kTotal - sent, size_t{1} << 20)));
      if (sent == kTotal) shutdown(fd.get(), SHUT_WR);
    }
  };
  const auto drain = [&](const Fd& fd, const Pattern& pattern, size_t& got, bool& end) {
    if (random() % 4 == 0) return;  // sometimes not at all
    const std::string text = fd.take(&end, nullptr, 1 + random() % (2 << 20));
    same = same && pattern.matches(got, text);
    got += text.size();
  };
  CHECK(run_until(
      loop,
      [&] {
        pump(rig.client, up, up_sent);
        pump(rig.server, down, down_sent);
        drain(rig.server, up, up_got, server_end);
        drain(rig.client, down, down_got, client_end);
        return !same || (client_end && server_end);
      },
      120'000));
  CHECK(same);
  CHECK(up_got == kTotal);
  CHECK(down_got == kTotal);
  REQUIRE(rig.ended());
  CHECK(rig.watcher.end->clean);
  CHECK(rig.watcher.end->bytes_up == kTotal);
  CHECK(rig.watcher.end->bytes_down == kTotal);
  CHECK(rig.watcher.ends == 1);
}

TEST_CASE("a reader that does not read stops the writer, and only for that time", "[tunnel]") {
  Loop loop;
  Rig rig(loop, 16 * 1024);
  rig.start();
  const Pattern pattern(4);
  size_t sent = 0;
  const auto pump = [&] { sent += rig.client.send_some(pattern.at(sent, 1 << 20)); };
  int64_t last = -1;
  int still = 0;
  CHECK(rig.until([&] {
    pump();
    still = rig.tunnel->bytes_up() == last && last > 0 ? still + 1 : 0;
    last = rig.tunnel->bytes_up();
    return still > 100;
  }));
  const size_t stalled_at = sent;
  CHECK(stalled_at < 32U << 20);
  size_t got = 0;
  bool same = true;
  CHECK(rig.until([&] {
    pump();
    const std::string text = rig.server.take();
    same = same && pattern.matches(got, text);
    got += text.size();
    return got > stalled_at * 2;
  }));
  CHECK(same);
}

TEST_CASE("half-close goes through in either direction, and the other goes on", "[tunnel]") {
  Loop loop;
  Rig rig(loop);
  rig.start("early up", "early down");
  const bool client_first = GENERATE(true, false);
  CHECK(rig.server_gets("early up"));
  CHECK(rig.client_gets("early down"));
  const Fd& first = client_first ? rig.client : rig.server;
  const Fd& second = client_first ? rig.server : rig.client;
  first.send_some("last words");
  shutdown(first.get(), SHUT_WR);
  std::string got;
  bool end = false;
  CHECK(rig.until([&] {
    got += second.take(&end);
    return end;
  }));
  CHECK(got == "last words");
  CHECK_FALSE(rig.watcher.end);
  second.send_some("answer after the end");
  got.clear();
  CHECK(rig.until([&] { return (got += first.take()) == "answer after the end"; }));
  shutdown(second.get(), SHUT_WR);
  REQUIRE(rig.ended());
  CHECK(rig.watcher.end->clean);
  CHECK(rig.watcher.end->far_answered);
  CHECK(rig.watcher.end->far_broke == !client_first);
  end = false;
  first.take(&end);
  CHECK(end);
}

TEST_CASE("a reset is passed on as a reset", "[tunnel]") {
  Loop loop;
  Rig rig(loop);
  rig.start();
  rig.client.send_some("up");
  CHECK(rig.server_gets("up"));
  SECTION("from the client") {
    rig.client.abort();
    REQUIRE(rig.ended());
    CHECK(aborted(rig.server));
    CHECK_FALSE(rig.watcher.end->far_broke);
  }
  SECTION("from the server, before it answered") {
    rig.server.abort();
    REQUIRE(rig.ended());
    CHECK(aborted(rig.client));
    CHECK_FALSE(rig.watcher.end->far_answered);
    CHECK(rig.watcher.end->far_broke);
  }
  SECTION("from the server, in the middle") {
    rig.server.send_some("half an ans");
    CHECK(rig.client_gets("half an ans"));
    rig.server.abort();
    REQUIRE(rig.ended());
    CHECK(aborted(rig.client));
    CHECK(rig.watcher.end->far_answered);
    CHECK(rig.watcher.end->far_broke);
  }
  SECTION("from the client, after it half-closed") {
    shutdown(rig.client.get(), SHUT_WR);
    run_for(loop, 10);
    rig.client.abort();
    rig.server.send_some("x");
    run_for(loop, 10);
    rig.server.send_some("y");
    REQUIRE(rig.ended());
  }
  CHECK_FALSE(rig.watcher.end->clean);
  CHECK(rig.watcher.ends == 1);
}

TEST_CASE("what came before a reset reaches a slow reader, and then the reset does", "[tunnel]") {
  Loop loop;
  Rig rig(loop, 4096);
  rig.start();
  rig.client.send_some("up");
  CHECK(rig.server_gets("up"));
  const std::string text(200 * 1024, 'd');
  size_t sent = 0;
  REQUIRE(rig.until([&] {
    sent += rig.server.send_some(std::string_view(text).substr(sent));
    return sent == text.size() && rig.tunnel->bytes_down() == static_cast<int64_t>(text.size());
  }));
  rig.server.abort();
  REQUIRE(rig.ended());
  CHECK(rig.watcher.end->far_broke);
  rig.tunnel.reset();
  run_for(loop, 50);
  std::string got;
  bool reset = false;
  CHECK(rig.until([&] {
    got += rig.client.take(nullptr, &reset);
    return reset;
  }));
  CHECK(got == text);
}

TEST_CASE("a client that goes away does not keep what it was still to be sent", "[tunnel]") {
  Loop loop;
  Rig rig(loop, 4096);
  rig.start();
  const std::string text(200 * 1024, 'd');
  size_t sent = 0;
  REQUIRE(rig.until([&] {
    sent += rig.server.send_some(std::string_view(text).substr(sent));
    return rig.tunnel->bytes_down() == static_cast<int64_t>(text.size());
  }));
  rig.server.abort();
  REQUIRE(rig.ended());
  rig.tunnel.reset();
  rig.client.abort();
  loop.run();  // until nothing is left
}

TEST_CASE("an early answer reaches a client whose upload is refused", "[tunnel]") {
  Loop loop;
  Rig rig(loop);
  rig.start();
  size_t sent = 0;
  const std::string block(256 * 1024, 'u');
  std::string got;
  rig.until([&] {
    sent += rig.client.send_some(block);
    return sent > 3U << 20;
  });
  rig.server.send_some("413 too long");
  rig.server.close();  // unread bytes: RST
  bool reset = false;
  CHECK(rig.until([&] {
    rig.client.send_some(block);
    got += rig.client.take(nullptr, &reset);
    return rig.watcher.end.has_value();
  }));
  got += rig.client.take();
  CHECK(got == "413 too long");
  CHECK(rig.watcher.end->far_broke);
}

TEST_CASE("end() closes both sides and tells from the loop", "[tunnel]") {
  Loop loop;
  Rig rig(loop);
  rig.start();
  run_for(loop, 5);
  rig.tunnel->end();
  rig.tunnel->end();
  CHECK(rig.watcher.ends == 0);
  REQUIRE(rig.ended());
  run_for(loop, 5);
  CHECK(rig.watcher.ends == 1);
  bool end = false;
  rig.client.take(&end);
  CHECK(end);
  end = false;
  rig.server.take(&end);
  CHECK(end);
}

TEST_CASE("the owner may destroy or bury the tunnel whenever it is told something", "[tunnel]") {
  Loop loop;
  Rig rig(loop);
  const bool bury = GENERATE(false, true);
  const auto drop = [&] {
    if (bury)
      loop.bury(std::move(rig.tunnel));
    else
      rig.tunnel.reset();
  };
  rig.watcher.on_end_hook = drop;
  const std::string how = GENERATE("near RST", "far RST", "both FIN", "end", "lost", "silence");
  if (how == "lost" || how == "silence") {
    rig.watcher.on_lost_hook = drop;
    rig.tunnel->keep_first_flight(100, 1);
  }
  rig.start("x");
  if (how == "near RST") rig.client.abort();
  if (how == "far RST" || how == "lost") rig.server.abort();
  if (how == "end") rig.tunnel->end();
  if (how == "both FIN") {
    shutdown(rig.client.get(), SHUT_WR);
    shutdown(rig.server.get(), SHUT_WR);
  }
  CHECK(rig.until([&] { return rig.tunnel == nullptr; }));
  run_for(loop, 5);
}

TEST_CASE("random aborts in the middle of much traffic leave nothing behind", "[tunnel]") {
  std::mt19937 random(GENERATE(1U, 2U, 3U));
  Loop loop;
  const std::string block(200'000, 'b');
  for (int round = 0; round < 4; ++round) {
    std::vector<std::unique_ptr<Rig>> rigs;
    for (int i = 0; i < 25; ++i) {
      rigs.push_back(std::make_unique<Rig>(loop));
      if (random() % 2 == 0) rigs.back()->tunnel->keep_first_flight(1000, 1);
      rigs.back()->start(random() % 2 == 0 ? "up" : "", random() % 4 == 0 ? "down" : "");
    }
    int turns = 0;
    run_until(loop, [&] {
      for (auto& rig : rigs) {
        rig->client.send_some(block);
        rig->server.send_some(block);
        if (random() % 2 == 0) rig->client.take(nullptr, nullptr, 150'000);
        if (random() % 2 == 0) rig->server.take(nullptr, nullptr, 150'000);
        switch (random() % 60) {
          case 0:
            rig->client.abort();
            break;
          case 1:
            rig->server.abort();
            break;
          case 2:
            rig->server.close();
            break;
          case 3:
            shutdown(rig->client.get(), SHUT_WR);
            break;
          case 4:
            rig->tunnel->end();
            break;
          case 5:
            rig->tunnel = std::make_unique<Tunnel>(loop, rig->watcher);
            rig->watcher.ends = 0;
            break;
          default:
            break;
        }
      }
      return ++turns > 40;
    });
    for (const auto& rig : rigs) CHECK(rig->watcher.ends <= 1);
  }
}

TEST_CASE("an idle tunnel costs little memory", "[tunnel]") {
  Loop loop;
  std::vector<std::unique_ptr<Rig>> rigs;
  rigs.reserve(100);
  const auto one = [&] {
    rigs.push_back(std::make_unique<Rig>(loop));
    rigs.back()->start("a first word");
    run_for(loop, 1);
  };
  one();
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 99; ++i) one();
  const size_t after = mallinfo2().uordblks;
  CHECK((after - before) / 99 < 4096);
}
