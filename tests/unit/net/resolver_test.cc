// Names: two families, hung and failing name servers, remembered addresses, our own ports.
#include "common/net/resolver.h"

#include <catch2/catch.hpp>

#include "common/base/counters.h"
#include "tests/unit/net/fake_dns.h"

using namespace hm;
using namespace hm::net;
using namespace hm::net::test;

namespace {

const char* const kHost = "api.example";

struct Asked {
  std::vector<Resolver::Answer> answers;
  std::unique_ptr<Resolver::Question> question;

  explicit Asked(Loop& loop, const std::string& host = kHost)
      : question(resolver_of(loop).ask(
            host, [this](const Resolver::Answer& answer) { answers.push_back(answer); })) {}
  [[nodiscard]] bool over() const { return !answers.empty() && answers.back().last; }
};

}  // namespace

TEST_CASE("resolver: each family answers for itself", "[resolver]") {
  Loop loop;
  FakeDns dns(loop);
  dns.answer(kHost, AF_INET6, Resolver::Addresses{local(0, "::1")});
  dns.answer(kHost, AF_INET, Resolver::Addresses{local(0), local(0, "127.0.0.2")});
  SECTION("both") {
    const Asked asked(loop);
    CHECK(asked.answers.empty());
    REQUIRE(run_until(loop, [&] { return asked.over(); }));
    REQUIRE(asked.answers.size() == 2);
    size_t addresses = 0;
    for (const auto& answer : asked.answers) addresses += answer.addresses.size();
    CHECK(addresses == 3);
  }
  SECTION("one is late") {
    dns.hang(kHost, AF_INET6);
    const Asked asked(loop);
    REQUIRE(run_until(loop, [&] { return asked.answers.size() == 1; }));
    CHECK(asked.answers[0].family == AF_INET);
    CHECK_FALSE(asked.over());
    dns.release(kHost, AF_INET6);
    REQUIRE(run_until(loop, [&] { return asked.over(); }));
  }
  SECTION("one has none: nothing is said of it") {
    dns.answer(kHost, AF_INET6, fail(Code::not_found, "none"));
    const Asked asked(loop);
    REQUIRE(run_until(loop, [&] { return asked.over(); }));
    CHECK(asked.answers.size() <= 2);
    CHECK(asked.answers.front().addresses.size() + asked.answers.back().addresses.size() >= 2);
  }
  SECTION("neither") {
    const Asked asked(loop, "nowhere.example");
    REQUIRE(run_until(loop, [&] { return asked.over(); }));
    CHECK(asked.answers.size() == 1);
    CHECK(asked.answers[0].addresses.empty());
    CHECK(asked.answers[0].error.code == Code::not_found);
  }
}

TEST_CASE("resolver: the same name is looked up once, and once more after silence", "[resolver]") {
  Loop loop;
  FakeDns dns(loop);
  dns.answer(kHost, AF_INET, Resolver::Addresses{local(0)});
  dns.hang(kHost);
  std::vector<std::unique_ptr<Asked>> many;
  for (int i = 0; i < 500; ++i) many.push_back(std::make_unique<Asked>(loop));
  run_for(loop, 20);
  CHECK(resolver_of(loop).threads() == 2);
  CHECK(dns.look_ups() == 2);
  run_for(loop, 2'100);
  const Asked late(loop);
  const Asked later(loop);
  run_for(loop, 20);
  CHECK(resolver_of(loop).threads() == 4);
  SECTION("all hear the answer") {
    dns.release(kHost, AF_INET6);
    dns.release(kHost, AF_INET);
    REQUIRE(run_until(loop, [&] { return late.over() && many[0]->over() && many[499]->over(); }));
    CHECK(run_until(loop, [&] { return resolver_of(loop).threads() == 0; }));
  }
  SECTION("some have left") {
    for (size_t i = 0; i < many.size(); i += 2) many[i].reset();
    dns.release(kHost, AF_INET6);
    dns.release(kHost, AF_INET);
    REQUIRE(run_until(loop, [&] { return later.over() && many[499]->over(); }));
  }
}

TEST_CASE("resolver: hung hosts take nothing from the others", "[resolver]") {
  Loop loop;
  FakeDns dns(loop);
  dns.answer(kHost, AF_INET, Resolver::Addresses{local(0)});
  std::vector<std::unique_ptr<Asked>> hung;
  for (int i = 0; i < 40; ++i) {
    const std::string host = "hung" + std::to_string(i) + ".example";
    dns.hang(host);
    for (int calls = 0; calls < 5; ++calls) hung.push_back(std::make_unique<Asked>(loop, host));
  }
  const int64_t started = loop.now_us();
  const Asked asked(loop);
  REQUIRE(run_until(loop, [&] { return asked.over(); }));
  CHECK(loop.now_us() - started < 1'000'000);
  CHECK(resolver_of(loop).threads() == 80);
}

TEST_CASE("resolver: beyond the last thread, questions wait", "[resolver]") {
  Loop loop;
  FakeDns dns(loop);
  dns.answer(kHost, AF_INET, Resolver::Addresses{local(0)});
  std::vector<std::unique_ptr<Asked>> hung;
  for (size_t i = 0; i < Resolver::kMaxThreads; ++i) {
    const std::string host = "hung" + std::to_string(i) + ".example";
    dns.hang(host);
    hung.push_back(std::make_unique<Asked>(loop, host));
  }
  CHECK(resolver_of(loop).threads() == Resolver::kMaxThreads);
  const Asked asked(loop);
  run_for(loop, 30);
  CHECK(asked.answers.empty());
  CHECK(resolver_of(loop).threads() == Resolver::kMaxThreads);
  hung.resize(10);  // those that nobody waits for any more get no thread
  for (int i = 0; i < 10; ++i) {
    dns.release("hung" + std::to_string(i) + ".example", AF_INET);
    dns.release("hung" + std::to_string(i) + ".example", AF_INET6);
  }
  REQUIRE(run_until(loop, [&] { return asked.over(); }));
  CHECK_FALSE(asked.answers.front().addresses.empty());
}

TEST_CASE("resolver: remembered addresses serve while the name servers do not", "[resolver]") {
  Loop loop;
  FakeDns dns(loop);
  dns.answer(kHost, AF_INET, Resolver::Addresses{local(0)});
  {
    const Asked asked(loop);
    REQUIRE(run_until(loop, [&] { return asked.over(); }));
  }
  const int64_t used = counters::get("dns.used_remembered").value();
  SECTION("they fail") {
    dns.fail_with(kHost, Code::timeout);
    const Asked asked(loop);
    REQUIRE(run_until(loop, [&] { return asked.over(); }));
    CHECK(asked.answers.back().addresses.size() == 1);
    CHECK(counters::get("dns.used_remembered").value() == used + 1);
  }
  SECTION("they are silent") {
    dns.hang(kHost);
    const int64_t started = loop.now_us();
    const Asked asked(loop);
    REQUIRE(run_until(loop, [&] { return !asked.answers.empty(); }));
    CHECK(loop.now_us() - started >= (Resolver::kStaleAfterMs - 10) * 1000);
    CHECK(asked.answers[0].addresses.size() == 1);
    CHECK_FALSE(asked.over());
  }
  SECTION("there is no such name any more: that is an answer") {
    dns.fail_with(kHost, Code::not_found);
    {
      const Asked asked(loop);
      REQUIRE(run_until(loop, [&] { return asked.over(); }));
      CHECK(asked.answers.back().addresses.empty());
    }
    dns.fail_with(kHost, Code::timeout);
    const Asked asked(loop);
    REQUIRE(run_until(loop, [&] { return asked.over(); }));
    CHECK(asked.answers.back().addresses.empty());
    CHECK(asked.answers.back().error.code == Code::timeout);
  }
}

TEST_CASE("resolver: a loop ends while look-ups hang", "[resolver]") {
  auto loop = std::make_unique<Loop>();
  FakeDns dns(*loop);
  dns.hang(kHost);
  {
    const Asked asked(*loop);
    run_for(*loop, 10);
  }
  loop.reset();
  dns.release(kHost, AF_INET);
  dns.release(kHost, AF_INET6);
}

TEST_CASE("dialer: an AAAA that is lost delays the A by 50 ms, not by its time-out", "[resolver]") {
  Loop loop;
  FakeDns dns(loop);
  auto [server, port] = listening();
  dns.answer(kHost, AF_INET, Resolver::Addresses{local(0)});
  dns.answer(kHost, AF_INET6, Resolver::Addresses{local(0, "::1")});
  const DialOptions options;
  Dialer dialer(loop, options);
  Dialled dialled;
  const int64_t started = loop.now_us();
  SECTION("AAAA hangs") {
    dns.hang(kHost, AF_INET6);
    dialer.dial(kHost, port, dialled.callback());
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    REQUIRE(dialled.ok());
    CHECK(loop.now_us() - started >= 49'000);
  }
  SECTION("A hangs, and IPv6 is refused: it is waited for") {
    dns.hang(kHost, AF_INET);
    dialer.dial(kHost, port, dialled.callback());
    run_for(loop, 100);
    CHECK(dialled.calls == 0);
    dns.release(kHost, AF_INET);
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    CHECK(dialled.ok());
  }
  SECTION("both hang: the deadline ends it") {
    DialOptions hasty;
    hasty.timeout_ms = 100;
    Dialer other(loop, hasty);
    dns.hang(kHost);
    other.dial(kHost, port, dialled.callback());
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    REQUIRE_FALSE(dialled.ok());
    CHECK(dialled.code() == Code::timeout);
  }
  CHECK(dialled.calls == 1);
}

TEST_CASE("dialer: our own ports are not dialled, however they are spelled", "[resolver]") {
  Loop loop;
  FakeDns dns(loop);
  TcpListener own(loop, [](TcpSocket) { FAIL("it was reached"); });
  const auto port = own.listen("127.0.0.1", 0);
  REQUIRE(port);
  auto [server, other] = listening();
  DialOptions options;
  options.is_own_port = [&](uint16_t asked) { return asked == *port; };
  options.connect_to["mapped.example:443"] = "127.0.0.1:" + std::to_string(*port);
  Dialer dialer(loop, options);
  dns.answer("four.example", AF_INET, Resolver::Addresses{local(0)});
  dns.answer("six.example", AF_INET6, Resolver::Addresses{local(0, "::1")});
  dns.answer("nowhere.example", AF_INET, Resolver::Addresses{local(0, "0.0.0.0")});
  dns.answer("mixed.example", AF_INET, Resolver::Addresses{local(0), local(0, "127.0.0.9")});
  dns.answer("mixed.example", AF_INET6, Resolver::Addresses{local(0, "::ffff:127.0.0.1")});
  for (const char* host : {"127.0.0.1",
                           "127.1",
                           "127.0.1",
                           "127.9.9.9",
                           "2130706433",
                           "0x7f000001",
                           "0x7f.1",
                           "0177.0.0.1",
                           "0.0.0.0",
                           "0",
                           "::1",
                           "[::1]",
                           "::",
                           "::ffff:127.0.0.1",
                           "[::ffff:7f00:1]",
                           "::ffff:0.0.0.0",
                           "four.example",
                           "six.example",
                           "nowhere.example",
                           "mixed.example"}) {
    INFO(host);
    Dialled dialled;
    dialer.dial(host, *port, dialled.callback());
    CHECK(dialled.calls == 0);
    REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
    REQUIRE_FALSE(dialled.ok());
    CHECK(is_own_port(dialled.result->error()));
  }
  Dialled mapped;
  dialer.dial("mapped.example", 443, mapped.callback());
  REQUIRE(run_until(loop, [&] { return mapped.calls == 1; }));
  CHECK_FALSE(mapped.ok());

  Dialled fine;
  dialer.dial("127.0.0.1", other, fine.callback());
  REQUIRE(run_until(loop, [&] { return fine.calls == 1; }));
  CHECK(fine.ok());
  Dialled ask;  // the edge's own way to the interceptor
  TcpListener door(loop, [](TcpSocket) {});
  const auto door_port = door.listen("127.0.0.1", 0);
  options.is_own_port = [&](uint16_t asked) { return asked == *door_port; };
  dialer.dial_local(*door_port, 1000, ask.callback());
  REQUIRE(run_until(loop, [&] { return ask.calls == 1; }));
  CHECK(ask.ok());
}

TEST_CASE("dialer: an upstream proxy that is ourselves is passed over", "[resolver]") {
  Loop loop;
  auto [server, port] = listening();
  DialOptions options;
  const char* own = GENERATE("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1");
  options.proxy = UpstreamProxy{own, 8081, ""};
  options.is_own_port = [](uint16_t asked) { return asked == 8081; };
  Dialer dialer(loop, options);
  Dialled dialled;
  FakeDns dns(loop);
  dns.answer(kHost, AF_INET, Resolver::Addresses{local(0)});
  dialer.dial(kHost, port, dialled.callback());
  REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
  CHECK(dialled.ok());
}

TEST_CASE("dialer: a plain request goes to the proxy without a tunnel", "[resolver]") {
  Loop loop;
  FakeDns dns(loop);
  auto [server, port] = listening();
  DialOptions options;
  options.proxy = UpstreamProxy{"proxy.example", port, "dXNlcjpwYXNz"};
  dns.answer("proxy.example", AF_INET, Resolver::Addresses{local(0)});
  Dialer dialer(loop, options);
  Dialled dialled;
  dialer.dial_for_request("www.example", 80, dialled.callback());
  REQUIRE(run_until(loop, [&] { return dialled.calls == 1; }));
  REQUIRE(dialled.ok());
  REQUIRE(dialer.plain_proxy() != nullptr);
  CHECK(dialer.plain_proxy()->basic_auth == "dXNlcjpwYXNz");
  CHECK((*dialled.result)->peer().port == port);

  dialer.dial_for_request("localhost", port, dialled.callback());
  dns.answer("localhost", AF_INET, Resolver::Addresses{local(0)});
  REQUIRE(run_until(loop, [&] { return dialled.calls == 2; }));
  CHECK(dialled.ok());
  CHECK(dialer.plain_proxy() == nullptr);
}
