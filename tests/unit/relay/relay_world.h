// A whole relay on a real loop: Acceptor and sessions, a scripted client and a scripted origin over
// loopback. Both ends speak TLS through the project's own engine and are pumped from the loop.
#pragma once

#include <openssl/ssl.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/fs.h"
#include "interceptor/meter/provider_registry.h"
#include "interceptor/relay/acceptor.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/net/net_support.h"

namespace hm::relay::test {

using net::test::Fd;

inline const std::string kHost = "api.openai.com";

using hm::test::TempFolder;

// A CA with what it takes to be a server under it and a client that trusts it alone.
struct Trust {
  TempFolder dir;
  std::unique_ptr<tls::Authority> authority =
      *tls::Authority::load_or_create(dir.path() / "ca", {kHost}, system_clock());
  tls::LeafCache leaves{*authority, system_clock()};
  std::unique_ptr<tls::ClientSideContext> serving = *tls::ClientSideContext::create();
  std::unique_ptr<tls::OriginSideContext> trusting =
      *tls::OriginSideContext::create({dir.path() / "none", dir.path() / "ca" / "ca-cert.pem"});
};

inline Trust& ours() {
  static Trust one;
  return one;
}
inline Trust& theirs() {
  static Trust one;
  return one;
}
inline Trust& rogue() {
  static Trust one;
  return one;
}

// One scripted end. Plain until it is given an engine.
struct Peer {
  Fd fd;
  std::unique_ptr<tls::Engine> engine;
  Trust* serves = nullptr;  // set: a server under this CA
  std::string raw;          // what came while plain
  std::string text;         // plaintext
  bool shaken = false;
  bool failed = false;
  bool end = false;
  bool reset = false;
  bool goodbye = false;  // close_notify came
  bool reading = true;
  bool sending = true;
  std::string out;  // not yet taken by the kernel

  void say(std::string_view plaintext) {
    if (engine == nullptr) {
      out += plaintext;
    } else {
      REQUIRE(engine->write(as_bytes(plaintext)));
    }
    flush();
  }
  void flush() {
    if (engine != nullptr) {
      out += engine->outgoing().copy_all();
      engine->outgoing().clear();
    }
    while (sending && fd.open() && !out.empty()) {
      const size_t sent = fd.send_some(out);
      if (sent == 0) return;
      out.erase(0, sent);
    }
  }
  void half_close() {
    flush();
    ::shutdown(fd.get(), SHUT_WR);
  }
  void pump() {
    if (!fd.open()) return;
    for (int round = 0; reading && round < 16; ++round) {
      const std::string got = fd.take(&end, &reset, 64 * 1024);
      if (got.empty()) break;
      if (serves != nullptr && engine == nullptr && got[0] == 22)
        engine = tls::Engine::towards_client(*serves->serving);
      if (engine == nullptr) {
        raw += got;
        continue;
      }
      if (!engine->feed(as_bytes(got))) failed = true;
      step();
    }
    if (engine != nullptr && !shaken && !failed && serves == nullptr) step();
    flush();
  }
  void step() {
    if (!shaken) {
      auto state = engine->handshake();
      if (state == tls::Engine::Handshake::paused) {
        const auto& offered = engine->hello().alpn;
        REQUIRE(engine->answer(**serves->leaves.leaf_for(kHost),
                               offered.empty() ? std::string() : offered.back()));
        state = engine->handshake();
      }
      shaken = state == tls::Engine::Handshake::done;
      failed = failed || state == tls::Engine::Handshake::failed;
      if (!shaken) return;
    }
    std::vector<uint8_t> buffer(16 * 1024);
    size_t count = 0;
    while (true) {
      switch (engine->read(buffer, count)) {
        case tls::Engine::Read::bytes:
          text += as_text(Bytes(buffer).first(count));
          continue;
        case tls::Engine::Read::ended:
          goodbye = true;
          return;
        case tls::Engine::Read::failed:
          failed = true;
          return;
        case tls::Engine::Read::wants_bytes:
          return;
      }
    }
  }
};

struct Rows final : RecordSink {
  std::vector<CallRecord> calls;
  std::vector<MissRecord> misses;
  bool room = true;
  [[nodiscard]] bool has_room() const noexcept override { return room; }
  bool push(CallRecord&& record) noexcept override {
    calls.push_back(std::move(record));
    return true;
  }
  bool push(MissRecord&& record) noexcept override {
    misses.push_back(std::move(record));
    return true;
  }
};

struct World {
  ~World() {
    acceptor.reset();
    loop.empty_graves();
  }

  net::Loop loop;
  Rows rows;
  TrustMemory trust{system_clock(), 3600LL * 1'000'000};
  SilentOrigins silent_origins{system_clock()};
  attribution::Attributor attributor{loop, {}};
  Fd listener;
  net::DialOptions dial;
  meter::ProviderRegistry providers;
  std::unique_ptr<RelayContext> context;
  std::unique_ptr<Acceptor> acceptor;
  uint16_t port = 0;
  Trust* origin_serves = &theirs();
  bool origin_plain = false;
  std::vector<std::unique_ptr<Peer>> origins;
  std::vector<std::unique_ptr<Peer>> clients;

  explicit World(RelayLimits limits = {}) {
    auto [fd, origin_port] = net::test::listening();
    listener = std::move(fd);
    listener.non_blocking();
    dial.connect_to[kHost + ":443"] = "127.0.0.1:" + std::to_string(origin_port);
    dial.connect_to["other.example:443"] = "127.0.0.1:" + std::to_string(origin_port);
    context = std::make_unique<RelayContext>(RelayContext{
        loop, system_clock(), dial, providers, *ours().serving, *theirs().trusting,
        *ours().authority, ours().leaves, trust, silent_origins, attributor, rows, limits});
    acceptor = std::make_unique<Acceptor>(*context);
    port = *acceptor->listen(-1, 0, 1);
  }

  void pump() {
    while (true) {
      Fd accepted = net::test::accept_from(listener);
      if (!accepted.open()) break;
      origins.push_back(std::make_unique<Peer>());
      origins.back()->fd = std::move(accepted);
      origins.back()->serves = origin_plain ? nullptr : origin_serves;
    }
    for (auto& peer : origins) peer->pump();
    for (auto& peer : clients) peer->pump();
  }
  template <class Condition>
  [[nodiscard]] bool until(Condition condition, int64_t ms = 20'000) {
    return net::test::run_until(
        loop,
        [&] {
          pump();
          return condition();
        },
        ms);
  }
  void settle(int64_t ms = 100) {
    (void)until([] { return false; }, ms);
  }

  Peer& connect(int receive_buffer = 0) {
    clients.push_back(std::make_unique<Peer>());
    clients.back()->fd = net::test::connect_to(port, receive_buffer);
    REQUIRE(clients.back()->fd.open());
    return *clients.back();
  }
  // Through the 200.
  Peer& tunnel(const std::string& host = kHost, const std::string& fields = {},
               int receive_buffer = 0) {
    Peer& peer = connect(receive_buffer);
    peer.say("CONNECT " + host + ":443 HTTP/1.1\r\n" + fields + "\r\n");
    REQUIRE(until([&] { return peer.raw.find(" 200 ") != std::string::npos; }));
    REQUIRE(peer.raw.starts_with("HTTP/1.1 102 "));
    peer.raw.clear();
    return peer;
  }
  void start_tls(Peer& peer, const tls::OriginSideContext& trusting,
                 const std::string& name = kHost) {
    peer.engine = tls::Engine::towards_origin(trusting, name, {"http/1.1"});
  }
  Peer& secure(const tls::OriginSideContext& trusting, int receive_buffer = 0) {
    Peer& peer = tunnel(kHost, {}, receive_buffer);
    start_tls(peer, trusting);
    REQUIRE(until([&] { return peer.shaken || peer.failed || peer.end; }));
    return peer;
  }
  // A client that trusts us and is connected to an origin through the meter.
  Peer& metered(int receive_buffer = 0) {
    Peer& peer = secure(*ours().trusting, receive_buffer);
    REQUIRE(peer.shaken);
    return peer;
  }
  Peer& origin() { return *origins.back(); }
  [[nodiscard]] bool idle() const { return acceptor->sessions() == 0; }
};

inline const std::string kQuestion =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: "
    "application/json\r\nContent-Length: 18\r\n\r\n{\"model\":\"gpt-4o\"}";

inline std::string answer(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline const std::string kUsage =
    R"({"id":"c1","object":"chat.completion","model":"gpt-4o","usage":{"prompt_tokens":5,)"
    R"("completion_tokens":7,"total_tokens":12}})";

}  // namespace hm::relay::test
