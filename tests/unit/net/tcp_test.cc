#include <netinet/tcp.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <random>

#include "common/base/counters.h"
#include "tests/unit/net/net_support.h"

using namespace hm;
using namespace hm::net;
using namespace hm::net::test;

TEST_CASE("listener: free port, taken port, next port, strangers", "[listener]") {
  Loop loop;
  TcpListener first(loop, [](TcpSocket) {});
  const auto port = first.listen("127.0.0.1", 0);
  REQUIRE(port);
  CHECK(*port != 0);
  CHECK(first.file_descriptor() >= 0);

  TcpListener second(loop, [](TcpSocket) {});
  const auto taken = second.listen("127.0.0.1", *port);
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == Code::busy);
  CHECK(second.file_descriptor() == -1);

  const auto near = second.listen_near("127.0.0.1", *port, 50);
  REQUIRE(near);
  CHECK(*near > *port);

  TcpListener third(loop, [](TcpSocket) {});
  CHECK(third.listen("0.0.0.0", 0).error().code == Code::permission);
  CHECK(third.listen("nonsense", 0).error().code == Code::malformed);

  first.close();
  CHECK(first.file_descriptor() == -1);
  CHECK(third.listen("127.0.0.1", *port));
}

TEST_CASE("listener: adopts a socket that listens already", "[listener]") {
  Loop loop;
  auto [server, port] = listening();
  const Fd waiting = connect_to(port);  // came in before we did
  TcpSocket accepted;
  TcpListener listener(loop, [&](TcpSocket socket) { accepted = std::move(socket); });
  const auto adopted = listener.adopt(server.get());
  REQUIRE(adopted);
  CHECK(*adopted == port);
  CHECK(listener.file_descriptor() == server.release());
  REQUIRE(run_until(loop, [&] { return static_cast<bool>(accepted); }));

  TcpListener other(loop, [](TcpSocket) {});
  const Fd not_listening(socket(AF_INET, SOCK_STREAM, 0));
  CHECK_FALSE(other.adopt(not_listening.get()));
  CHECK(other.file_descriptor() == -1);
}

TEST_CASE("listener: a kept socket that is of no use is replaced", "[listener]") {
  Loop loop;
  TcpListener listener(loop, [](TcpSocket) {});
  SECTION("of use") {
    auto [server, port] = listening();
    CHECK(listener.adopt_or_listen_near(server.release(), "127.0.0.1", 1, 0) == port);
    return;
  }
  const int kept = GENERATE_COPY(
      socket(AF_INET, SOCK_STREAM, 0),
      [] {
        const int open = socket(AF_INET, SOCK_STREAM, 0);  // for everybody
        sockaddr_in any{};
        any.sin_family = AF_INET;
        bind(open, reinterpret_cast<const sockaddr*>(&any), sizeof any);
        listen(open, 1);
        return open;
      }(),
      -1);
  const auto fresh = listener.adopt_or_listen_near(kept, "127.0.0.1", 0, 0);
  REQUIRE(fresh);
  CHECK(connect_to(*fresh).open());
  CHECK(listener.file_descriptor() >= 0);
}

TEST_CASE("listener: may die inside its own callback", "[listener]") {
  Loop loop;
  std::unique_ptr<TcpListener> listener;
  int accepted = 0;
  listener = std::make_unique<TcpListener>(loop, [&](TcpSocket) {
    ++accepted;
    listener.reset();
  });
  const auto port = listener->listen("127.0.0.1", 0);
  REQUIRE(port);
  const Fd one = connect_to(*port);
  const Fd two = connect_to(*port);
  loop.run();
  CHECK(accepted == 1);
}

TEST_CASE("listener: no descriptor left means a pause, not a lost client", "[listener]") {
  Loop loop;
  std::vector<TcpSocket> accepted;
  TcpListener listener(loop, [&](TcpSocket socket) { accepted.push_back(std::move(socket)); });
  const auto port = listener.listen("127.0.0.1", 0);
  REQUIRE(port);
  Counter& pauses = counters::get("net.accept_paused");
  const int64_t before = pauses.value();

  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  rlimit low = old;
  low.rlim_cur = 256;
  setrlimit(RLIMIT_NOFILE, &low);
  const Fd client = connect_to(*port);
  std::vector<Fd> hoard;
  for (int raw = dup(0); raw >= 0; raw = dup(0)) hoard.emplace_back(raw);
  const bool paused = run_until(loop, [&] { return pauses.value() > before; });
  const size_t while_paused = accepted.size();
  hoard.clear();
  setrlimit(RLIMIT_NOFILE, &old);

  CHECK(paused);
  CHECK(while_paused == 0);
  CHECK(run_until(loop, [&] { return accepted.size() == 1; }));
}

TEST_CASE("socket: endpoints, TCP_NODELAY, owner of the other end", "[socket]") {
  Loop loop;
  Pair pair = make_pair(loop);
  CHECK(pair.inside.local().address == "127.0.0.1");
  CHECK(pair.inside.peer().address == "127.0.0.1");
  sockaddr_in local{};
  socklen_t length = sizeof local;
  getsockname(pair.outside.get(), reinterpret_cast<sockaddr*>(&local), &length);
  CHECK(pair.inside.peer().port == ntohs(local.sin_port));

  const auto uid = peer_uid(pair.inside);
  REQUIRE(uid);
  CHECK(*uid == geteuid());
  CHECK_FALSE(peer_uid(TcpSocket()));

  pair.outside.abort();  // nobody owns it now: the kernel must not make that root
  CHECK_FALSE(peer_uid(pair.inside));
}

TEST_CASE("socket: the owner is found for IPv6 and mapped clients too", "[socket]") {
  Loop loop;
  TcpSocket accepted;
  TcpListener listener(loop, [&](TcpSocket socket) { accepted = std::move(socket); });
  const bool mapped = GENERATE(false, true);
  const auto port = listener.listen(mapped ? "127.0.0.1" : "::1", 0);
  if (!port) {
    WARN("no IPv6 loopback here");
    return;
  }
  const Fd client(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(*port);
  inet_pton(AF_INET6, mapped ? "::ffff:127.0.0.1" : "::1", &address.sin6_addr);
  REQUIRE(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(run_until(loop, [&] { return static_cast<bool>(accepted); }));
  const auto uid = peer_uid(accepted);
  REQUIRE(uid);
  CHECK(*uid == geteuid());
}

TEST_CASE("stream: reads, writes, half-closes in both orders", "[stream]") {
  Loop loop;
  Pair pair = make_pair(loop);
  Recorder owner;
  TcpStream stream(loop, owner);
  CHECK_FALSE(stream.open());
  stream.adopt(std::move(pair.inside));
  CHECK(stream.open());
  int nodelay = 0;
  socklen_t length = sizeof nodelay;
  getsockopt(pair.outside.get(), IPPROTO_TCP, TCP_NODELAY, &nodelay, &length);

  pair.outside.send_some("hello");
  run_for(loop, 20);
  CHECK(owner.read.empty());  // adopted, not reading
  stream.start_reading();
  CHECK(run_until(loop, [&] { return owner.read == "hello"; }));

  REQUIRE(stream.write(as_bytes("world")));
  CHECK(stream.queued() == 0);
  shutdown(pair.outside.get(), SHUT_WR);
  CHECK(run_until(loop, [&] { return owner.eofs == 1; }));
  CHECK(stream.read_ended());
  CHECK(stream.open());
  REQUIRE(stream.write(as_bytes("!")));  // the other direction goes on
  stream.shutdown_write();
  CHECK(stream.write_ended());
  CHECK_FALSE(stream.write(as_bytes("too late")));
  CHECK(run_until(loop, [&] { return owner.drained == 1; }));
  bool end = false;
  CHECK(pair.outside.take(&end) == "world!");
  CHECK(end);
  CHECK(owner.broken == 0);
}

TEST_CASE("stream: pause reasons add up", "[stream]") {
  Loop loop;
  Pair pair = make_pair(loop);
  Recorder owner;
  TcpStream stream(loop, owner);
  stream.adopt(std::move(pair.inside));
  stream.pause(PauseReason::handshake);
  stream.start_reading();
  stream.pause(PauseReason::sink_full);
  pair.outside.send_some("x");
  run_for(loop, 20);
  CHECK(owner.read.empty());
  stream.resume(PauseReason::handshake);
  run_for(loop, 20);
  CHECK(owner.read.empty());
  stream.resume(PauseReason::sink_full);
  CHECK(run_until(loop, [&] { return owner.read == "x"; }));
}

TEST_CASE("stream: the queue drains in order, is told once at the low mark", "[stream]") {
  Loop loop;
  Pair pair = make_pair(loop, 4096);
  Recorder owner;
  TcpStream stream(loop, owner);
  stream.adopt(std::move(pair.inside));

  std::string sent;
  std::mt19937 random(7);
  while (stream.queued() <= TcpStream::kHighMark) {
    std::string piece(1 + random() % 5000, '\0');
    for (char& c : piece) c = static_cast<char>(random());
    REQUIRE(stream.write(as_bytes(piece)));
    sent += piece;
  }
  CHECK(owner.drained == 0);
  size_t queued_when_told = SIZE_MAX;
  owner.hook = [&](const char*) { queued_when_told = stream.queued(); };
  std::string got;
  CHECK(run_until(loop, [&] {
    got += pair.outside.take();
    return got.size() == sent.size();
  }));
  CHECK(got == sent);
  CHECK(owner.drained == 1);
  CHECK(queued_when_told <= TcpStream::kLowMark);

  SECTION("and once more with the FIN") {
    REQUIRE(stream.write(as_bytes(std::string(8 << 20, 'z'))));
    CHECK(stream.queued() > 0);
    stream.shutdown_write();
    size_t z = 0;
    bool end = false;
    CHECK(run_until(loop, [&] {
      z += pair.outside.take(&end).size();
      return end && owner.drained >= 2;
    }));
    CHECK(z == 8U << 20);
    run_for(loop, 10);
    CHECK(owner.drained <= 3);
    CHECK(stream.queued() == 0);
  }
}

TEST_CASE("stream: a reset is told once, and sent as one", "[stream]") {
  Loop loop;
  Pair pair = make_pair(loop);
  Recorder owner;
  TcpStream stream(loop, owner);
  stream.adopt(std::move(pair.inside));
  stream.start_reading();

  SECTION("the peer resets") {
    pair.outside.abort();
    CHECK(run_until(loop, [&] { return owner.broken == 1; }));
    CHECK(owner.error.code == Code::closed);
    CHECK(owner.error.detail == ECONNRESET);
    CHECK_FALSE(stream.open());
    CHECK_FALSE(stream.write(as_bytes("x")));
    stream.shutdown_write();
    run_for(loop, 20);
    CHECK(owner.broken == 1);
    CHECK(owner.eofs == 0);
  }
  SECTION("the peer resets while much is queued") {
    stream.pause(PauseReason::sink_full);
    REQUIRE(stream.write(as_bytes(std::string(16 << 20, 'x'))));
    run_for(loop, 5);
    pair.outside.abort();
    CHECK(run_until(loop, [&] { return owner.broken == 1; }));
    CHECK(owner.drained == 0);
  }
  SECTION("we reset") {
    stream.reset();
    run_for(loop, 5);
    bool reset = false;
    pair.outside.take(nullptr, &reset);
    CHECK(reset);
  }
  SECTION("we reset after we half-closed") {
    stream.shutdown_write();
    if (GENERATE(false, true)) run_for(loop, 5);
    stream.reset();
    run_for(loop, 5);
    std::string buffer(10, 'x');
    while (recv(pair.outside.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) == 0) {
      // the FIN may have come first
      if (send(pair.outside.get(), "x", 1, MSG_NOSIGNAL) < 0) break;
    }
    CHECK((errno == ECONNRESET || errno == EPIPE));
  }
  CHECK(owner.broken <= 1);
}

TEST_CASE("stream: an answer that came before the break can be fetched", "[stream]") {
  Loop loop;
  Pair pair = make_pair(loop);
  Recorder owner;
  TcpStream stream(loop, owner);
  stream.adopt(std::move(pair.inside));
  stream.pause(PauseReason::sink_full);
  stream.start_reading();
  REQUIRE(stream.write(as_bytes("a long upload")));
  pair.outside.send_some("413 too long");
  pair.outside.close();  // with bytes unread: the kernel resets
  run_for(loop, 5);
  const auto failed = stream.write(as_bytes("more"));
  CHECK_FALSE(failed);
  std::vector<uint8_t> rest(100);
  const size_t got = stream.read_rest(rest);
  CHECK(as_text(Bytes(rest).first(got)) == "413 too long");
  CHECK(stream.read_rest(rest) == 0);
}

TEST_CASE("stream: can be given away", "[stream]") {
  Loop loop;
  Pair pair = make_pair(loop);
  Recorder first_owner;
  Recorder second_owner;
  TcpStream first(loop, first_owner);
  TcpStream second(loop, second_owner);
  first.adopt(std::move(pair.inside));
  first.start_reading();
  pair.outside.send_some("one");
  REQUIRE(run_until(loop, [&] { return first_owner.read == "one"; }));
  second.adopt(first.release());
  CHECK_FALSE(first.open());
  pair.outside.send_some("two");
  run_for(loop, 10);
  second.start_reading();
  CHECK(run_until(loop, [&] { return second_owner.read == "two"; }));
  CHECK(first_owner.read == "one");
}

TEST_CASE("stream: the owner may destroy it in every callback", "[stream]") {
  Loop loop;
  const std::string when = GENERATE("read", "eof", "drained", "broken");
  const bool bury = GENERATE(false, true);
  Pair pair = make_pair(loop, 4096);
  Recorder owner;
  auto stream = std::make_unique<TcpStream>(loop, owner);
  owner.hook = [&](const char* what) {
    if (what != when || !stream) return;
    if (bury)
      loop.bury(std::move(stream));
    else
      stream.reset();
  };
  stream->adopt(std::move(pair.inside));
  stream->start_reading();
  REQUIRE(stream->write(as_bytes(std::string(6 << 20, 'q'))));
  pair.outside.send_some("ping");
  if (when == "eof") shutdown(pair.outside.get(), SHUT_WR);
  if (when == "broken") {
    run_for(loop, 5);
    pair.outside.abort();
  }
  CHECK(run_until(loop, [&] {
    if (pair.outside.open()) pair.outside.take();
    return stream == nullptr;
  }));
  run_for(loop, 5);
}

TEST_CASE("thousands of connections with random ends leave nothing behind", "[stream]") {
  std::mt19937 random(GENERATE(1U, 2U));
  Loop loop;
  struct Served final : TcpStream::Owner {
    Served(Loop& loop_in, std::mt19937& random_in) : loop(loop_in), random(random_in) {}
    Loop& loop;
    std::mt19937& random;
    TcpStream stream{loop, *this};
    bool gone = false;
    void on_read(TcpStream& s, Bytes bytes) override {
      if (!s.write(bytes)) gone = true;
      if (random() % 4 == 0) s.reset();
    }
    void on_eof(TcpStream& s) override { s.shutdown_write(); }
    void on_drained(TcpStream& s) override { s.close(); }
    void on_broken(TcpStream& /*s*/, Error /*e*/) override { gone = true; }
  };
  std::deque<std::unique_ptr<Served>> served;
  int accepted = 0;
  TcpListener listener(loop, [&](TcpSocket socket) {
    ++accepted;
    served.push_back(std::make_unique<Served>(loop, random));
    served.back()->stream.adopt(std::move(socket));
    served.back()->stream.start_reading();
    if (served.size() > 50) served.pop_front();  // whatever it was doing
  });
  const auto port = listener.listen("127.0.0.1", 0);
  REQUIRE(port);
  std::deque<Fd> clients;
  int made = 0;
  CHECK(run_until(loop, [&] {
    for (int i = 0; i < 20 && made < 2000; ++i, ++made) {
      clients.push_back(connect_to(*port));
      clients.back().send_some(std::string(1 + random() % 3000, 'c'));
      if (random() % 3 == 0) shutdown(clients.back().get(), SHUT_WR);
      if (random() % 3 == 0) clients.back().abort();
      if (clients.size() > 100) clients.pop_front();
    }
    return accepted >= 2000;
  }));
  // The rest dies with the loop, in the middle of things.
}
