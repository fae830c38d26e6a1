// Parent and worker: what is inherited, and how the one ends when the other does.
#include "common/setup/worker.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <functional>
#include <string>

#include "common/setup/process.h"
#include "tests/unit/net/net_support.h"

namespace hm::setup::test {
namespace {

using net::test::Fd;

// run_worker() in a process of its own, which is then the parent. `report` is what the worker says.
struct Service {
  explicit Service(const std::function<int(const Inheritance&, int report)>& work) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    report = Fd(ends[0]);
    parent = ::fork();
    REQUIRE(parent >= 0);
    if (parent == 0) {
      ::close(ends[0]);
      ::_exit(run_worker(true, [&](const Inheritance& given) { return work(given, ends[1]); }));
    }
    ::close(ends[1]);
  }
  [[nodiscard]] std::string hear(size_t bytes) const {
    std::string heard(bytes, '\0');
    size_t at = 0;
    while (at < bytes) {
      const ssize_t got = ::read(report.get(), heard.data() + at, bytes - at);
      if (got <= 0) break;
      at += static_cast<size_t>(got);
    }
    heard.resize(at);
    return heard;
  }
  [[nodiscard]] int wait() const {
    int status = -1;
    REQUIRE(::waitpid(parent, &status, 0) == parent);
    return status;
  }
  pid_t parent = -1;
  Fd report;
};

void say(int report, const std::string& text) {
  static_cast<void>(!::write(report, text.data(), text.size()));
}

[[noreturn]] void hang() {
  while (true) ::pause();
}

}  // namespace

TEST_CASE("listen fds: only those meant for us, named by place") {
  const auto fds = parse_listen_fds("7", "3", "edge-8081:watch-9", 7);
  REQUIRE(fds.size() == 3);
  CHECK(fds[0].name == "edge-8081");
  CHECK(fds[0].descriptor == 3);
  CHECK(fds[1].name == "watch-9");
  CHECK(fds[2].name.empty());
  CHECK(fds[2].descriptor == 5);
  CHECK(parse_listen_fds("8", "3", "a", 7).empty());
  CHECK(parse_listen_fds(nullptr, "3", "a", 7).empty());
  CHECK(parse_listen_fds("7", nullptr, "a", 7).empty());
  CHECK(parse_listen_fds("7", "many", "a", 7).empty());
  CHECK(parse_listen_fds("7", "-1", "a", 7).empty());
  CHECK(parse_listen_fds("7", "5000", "a", 7).empty());
  CHECK(parse_listen_fds("7x", "1", "a", 7).empty());
  CHECK(parse_listen_fds("7", "1", nullptr, 7).size() == 1);
}

TEST_CASE("the flag that asks for a worker") {
  ProcessFlags flags;
  const char* words[] = {"x", "--supervised", "--edge-port", "0"};
  CHECK(parse_flags(4, words, {"--edge-port"}, flags).empty());
  CHECK(flags.supervised);
  CHECK(flags.edge_port == 0);
}

TEST_CASE("without supervision the work is done here") {
  const pid_t self = ::getpid();
  const int code = run_worker(false, [&](const Inheritance& given) {
    CHECK(::getpid() == self);
    CHECK_FALSE(given.supervised());
    return 5;
  });
  CHECK(code == 5);
}

TEST_CASE("the parent ends as its worker ends") {
  SECTION("by itself") {
    const Service service([](const Inheritance&, int) { return 3; });
    const int status = service.wait();
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 3);
  }
  SECTION("by a signal") {
    const Service service([](const Inheritance&, int) -> int {
      ::kill(::getpid(), SIGKILL);
      hang();
    });
    const int status = service.wait();
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);
  }
  SECTION("by a signal that is passed on to it") {
    const Service service([](const Inheritance&, int report) -> int {
      std::signal(SIGTERM, SIG_DFL);  // the test framework has one of its own
      say(report, "r");
      hang();
    });
    REQUIRE(service.hear(1) == "r");
    ::kill(service.parent, SIGTERM);
    const int status = service.wait();
    REQUIRE(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGTERM);
  }
}

TEST_CASE("the watchdog's SIGABRT kills a worker that does not even hear signals") {
  const Service service([](const Inheritance&, int report) -> int {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    say(report, "r");
    hang();
  });
  REQUIRE(service.hear(1) == "r");
  ::kill(service.parent, SIGABRT);
  const int status = service.wait();
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(service.hear(1).empty());  // the worker's end of the pipe is closed too
}

TEST_CASE("a worker that says it leaves lets its parent go, and goes on") {
  const Service service([](const Inheritance& given, int report) {
    static_cast<void>(!::write(given.to_parent, "l", 1));
    char byte = 0;
    const ssize_t got = ::read(given.parent, &byte, 1);  // until the parent is gone
    say(report, got == 0 ? "alone" : "other");
    return 0;
  });
  const int status = service.wait();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(service.hear(5) == "alone");
}

TEST_CASE("a worker hears of its parent's violent death") {
  const Service service([](const Inheritance& given, int report) {
    say(report, "r");
    char byte = 0;
    say(report, ::read(given.parent, &byte, 1) == 0 ? "alone" : "other");
    return 0;
  });
  REQUIRE(service.hear(1) == "r");
  ::kill(service.parent, SIGKILL);
  CHECK(WIFSIGNALED(service.wait()));
  CHECK(service.hear(5) == "alone");
}

TEST_CASE("what the worker inherits") {
  // Set by the process that becomes the parent, as a supervisor does between fork and exec.
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Fd report(ends[0]);
  auto [listening, port] = net::test::listening();
  const pid_t parent = ::fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    const int moved = ::fcntl(ends[1], F_DUPFD, 100);
    const int socket = ::fcntl(listening.get(), F_DUPFD, 100);
    if (::dup2(socket, 3) != 3) ::_exit(9);
    ::close(socket);
    ::close(listening.get());
    const std::string self = std::to_string(::getpid());
    ::setenv("WATCHDOG_PID", self.c_str(), 1);
    ::setenv("LISTEN_PID", self.c_str(), 1);
    ::setenv("LISTEN_FDS", "1", 1);
    ::setenv("LISTEN_FDNAMES", "edge-1", 1);
    ::_exit(run_worker(true, [&](const Inheritance& given) {
      const bool watchdog = std::to_string(::getpid()) == std::getenv("WATCHDOG_PID");
      const bool clean = std::getenv("LISTEN_FDS") == nullptr;
      const bool kept = given.kept.size() == 1 && given.kept[0].name == "edge-1" &&
                        (::fcntl(3, F_GETFD) & FD_CLOEXEC) != 0;
      // The port is open only as long as the worker wants it: the parent holds no duplicate.
      ::close(given.kept.at(0).descriptor);
      say(moved, std::string(watchdog ? "y" : "n") + (clean ? "y" : "n") + (kept ? "y" : "n"));
      ::close(moved);
      char byte = 0;
      static_cast<void>(!::read(given.parent, &byte, 1));
      return 0;
    }));
  }
  ::close(ends[1]);
  listening.close();
  std::string heard(3, '\0');
  CHECK(::read(report.get(), heard.data(), 3) == 3);
  CHECK(heard == "yyy");
  for (int i = 0; i < 2000 && net::test::connect_to(port).open(); ++i) ::usleep(5000);
  CHECK_FALSE(net::test::connect_to(port).open());
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
}

}  // namespace hm::setup::test
