#include "common/net/control_socket.h"

#include <sys/stat.h>
#include <sys/un.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/support/temp_folder.h"
#include "tests/unit/net/net_support.h"

using namespace hm;
using namespace hm::net;
using namespace hm::net::test;
namespace fs = std::filesystem;

namespace {

using hm::test::TempFolder;

Fd unix_connect(const fs::path& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return {};
  return fd;
}

Result<std::string> ask(Loop& loop, const fs::path& path, const std::string& line,
                        size_t max_bytes = 1 << 20, int64_t timeout_ms = 5000) {
  std::optional<Result<std::string>> answer;
  ControlRequest request(loop);
  request.send(path, line, timeout_ms, max_bytes,
               [&](Result<std::string> result) { answer = std::move(result); });
  CHECK_FALSE(answer);
  REQUIRE(run_until(loop, [&] { return answer.has_value(); }));
  CHECK_FALSE(request.busy());
  return *answer;
}

}  // namespace

TEST_CASE("control: question and answer, mode 0600, folder 0700, file gone at the end",
          "[control]") {
  const TempFolder folder;
  const size_t length = GENERATE(size_t{3}, size_t{120});  // the second passes sun_path
  const fs::path path = folder.path() / std::string(length, 'l') / "edge.sock";
  Loop loop;
  {
    ControlServer server(loop, [](std::string_view line) {
      return line == "big" ? std::string(3'000'000, 'b') : "you said " + std::string(line) + "\n";
    });
    REQUIRE(server.listen(path));
    CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
    CHECK(fs::status(path.parent_path()).permissions() == fs::perms::owner_all);
    CHECK(ask(loop, path, "ping") == "you said ping\n");
    CHECK(ask(loop, path, "") == "you said \n");
    CHECK(ask(loop, path, "big", 4'000'000).value().size() == 3'000'000);
    CHECK(ask(loop, path, "big", 1'000'000).error().code == Code::too_large);
    CHECK(ask(loop, path, std::string(4096, 'q')).value().size() == 4096 + 10);
    CHECK_FALSE(ask(loop, path, std::string(4097, 'q')));
    CHECK_FALSE(ask(loop, path, std::string(1'000'000, 'q')));
    CHECK(ask(loop, path, "ping") == "you said ping\n");
  }
  CHECK_FALSE(fs::exists(path));
  CHECK(ask(loop, path, "ping").error().code == Code::not_found);
}

TEST_CASE("control: a request in pieces, with CR, or ended by half-close", "[control]") {
  const TempFolder folder;
  const fs::path path = folder.path() / "s";
  Loop loop;
  ControlServer server(loop, [](std::string_view line) { return "<" + std::string(line) + ">"; });
  REQUIRE(server.listen(path));
  const Fd client = unix_connect(path);
  REQUIRE(client.open());
  for (const char* piece : {"st", "at", "us\r"}) {
    client.send_some(piece);
    run_for(loop, 3);
  }
  if (GENERATE(false, true))
    client.send_some("\nignored");
  else
    shutdown(client.get(), SHUT_WR);
  std::string got;
  bool end = false;
  CHECK(run_until(loop, [&] {
    got += client.take(&end);
    return got == "<status>";
  }));
}

TEST_CASE("control: a dead socket is replaced, a live one and a file are not", "[control]") {
  const TempFolder folder;
  const fs::path path = folder.path() / "s";
  Loop loop;
  const auto handler = [](std::string_view) { return std::string("new"); };
  {
    Fd dead(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    listen(dead.get(), 1);

    ControlServer early(loop, handler);
    CHECK(early.listen(path).error().code == Code::busy);
    const Fd filler = unix_connect(path);
    const Fd filler2 = unix_connect(path);  // backlog full: still alive
    CHECK(early.listen(path).error().code == Code::busy);
  }
  REQUIRE(fs::exists(path));
  ControlServer server(loop, handler);
  REQUIRE(server.listen(path));
  CHECK(ask(loop, path, "x") == "new");

  {
    ControlServer second(loop, handler);
    CHECK(second.listen(path).error().code == Code::busy);
  }
  CHECK(ask(loop, path, "x") == "new");  // its end took nothing away

  fs::remove(path);
  std::ofstream(path) << "a file";
  server.close();
  CHECK(fs::exists(path));  // not ours
  CHECK(server.listen(path).error().code == Code::refused);
  CHECK(fs::file_size(path) == 6);
}

TEST_CASE("control: a live one is succeeded, and leaves the file alone", "[control]") {
  const TempFolder folder;
  const fs::path path = folder.path() / "edge.sock";
  Loop loop;
  ControlServer old(loop, [](std::string_view) { return std::string("old"); });
  REQUIRE(old.listen(path));
  CHECK(old.reachable());
  ControlServer fresh(loop, [](std::string_view) { return std::string("new"); });
  CHECK_FALSE(fresh.listen(path));  // not by accident
  CHECK(ask(loop, path, "who") == "old");
  const bool knows = GENERATE(true, false);
  if (knows) old.disown();
  REQUIRE(fresh.listen(path, true));
  CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(ask(loop, path, "who") == "new");
  CHECK_FALSE(old.reachable());
  old.close();
  CHECK(ask(loop, path, "who") == "new");
  fresh.close();
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("control: the silent are dropped, the many are refused", "[control]") {
  const TempFolder folder;
  const fs::path path = folder.path() / "s";
  Loop loop;
  ControlServer server(loop, [](std::string_view) { return std::string("ok"); });
  REQUIRE(server.listen(path));
  std::vector<Fd> silent;
  for (int i = 0; i < 64; ++i) {
    silent.push_back(unix_connect(path));
    run_for(loop, 1);
  }
  run_for(loop, 10);
  CHECK_FALSE(ask(loop, path, "x"));
  bool end = false;
  CHECK(run_until(loop, [&] {
    silent.front().take(&end);
    return end;
  }));
  run_for(loop, 200);
  CHECK(ask(loop, path, "x") == "ok");
}

TEST_CASE("control: a request has a deadline, can be cancelled, repeated, destroyed", "[control]") {
  const TempFolder folder;
  const fs::path path = folder.path() / "s";
  Loop loop;
  Fd mute(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  REQUIRE(bind(mute.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  listen(mute.get(), 0);
  CHECK(ask(loop, path, "x", 100, 50).error().code == Code::timeout);
  const Fd filler = unix_connect(path);
  CHECK(ask(loop, path, "x", 100, 50).error().code == Code::timeout);  // backlog full
  mute.close();
  CHECK(ask(loop, path, "x").error().code == Code::refused);

  ControlServer server(loop, [](std::string_view) { return std::string("ok"); });
  REQUIRE(server.listen(path));
  auto request = std::make_unique<ControlRequest>(loop);
  int answers = 0;
  std::function<void(Result<std::string>)> next = [&](Result<std::string> answer) {
    CHECK(answer == "ok");
    if (++answers < 3)
      request->send(path, "x", 1000, 100, next);
    else
      request.reset();
  };
  request->send(path, "x", 1000, 100, next);
  CHECK(request->busy());
  CHECK(run_until(loop, [&] { return request == nullptr; }));
  CHECK(answers == 3);

  request = std::make_unique<ControlRequest>(loop);
  request->send(path, "x", 1000, 100, [](Result<std::string>) { FAIL("cancelled"); });
  request.reset();
  run_for(loop, 10);
}

TEST_CASE("control: the handler may close or destroy the server", "[control]") {
  const TempFolder folder;
  const fs::path path = folder.path() / "s";
  Loop loop;
  std::unique_ptr<ControlServer> server;
  const bool destroy = GENERATE(false, true);
  const std::string captured(100, 'c');
  server = std::make_unique<ControlServer>(loop, [&, captured](std::string_view) {
    if (destroy)
      server.reset();
    else
      server->close();
    return captured;
  });
  REQUIRE(server->listen(path));
  CHECK_FALSE(ask(loop, path, "stop"));
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("control: a handler that throws costs only that answer", "[control]") {
  const TempFolder folder;
  const fs::path path = folder.path() / "s";
  Loop loop;
  ControlServer server(loop, [](std::string_view line) -> std::string {
    if (line == "bad") throw 1;
    return "ok";
  });
  REQUIRE(server.listen(path));
  CHECK_FALSE(ask(loop, path, "bad"));
  CHECK(ask(loop, path, "good") == "ok");
}
