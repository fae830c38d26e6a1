// One supervised process, played by a shell script.
#include "cli/supervised.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <functional>

#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;

namespace {

struct Stage : CliFixture {
  explicit Stage(const std::string& script, UnitLimits limits) {
    const auto program = folder / "program";
    // Python speaks to the notify socket; a shell cannot.
    std::ofstream(program) << "#!/usr/bin/python3\nimport os, socket, sys, time, array\n"
                              "def say(text, *fds):\n"
                              "    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                              "    s.connect(os.environ['NOTIFY_SOCKET'])\n"
                              "    socket.send_fds(s, [text.encode()], list(fds))\n"
                              "def note(text):\n"
                              "    open(sys.argv[0] + '.said', 'a').write(text + '\\n')\n"
                           << script;
    ::chmod(program.c_str(), 0700);
    said = program.string() + ".said";
    process =
        std::make_unique<Supervised>("test", program, std::move(limits), folder / "test.notify");
    REQUIRE(process->listen());
  }
  ~Stage() {
    process->want(false);
    until([&] { return !process->running(); });
  }
  bool until(const std::function<bool()>& done, int64_t limit_ms = 20'000) {
    const int64_t end_us = hm::system_clock().steady_us() + limit_ms * 1000;
    while (!done()) {
      const int64_t now_us = hm::system_clock().steady_us();
      if (now_us > end_us) return false;
      process->step(now_us, context.environment);
      pollfd ready{process->notify_fd(), POLLIN, 0};
      if (::poll(&ready, 1, 5) > 0) process->read_words();
      process->drop_hung_up();
      int status = 0;
      for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
        process->on_exit(pid, status, hm::system_clock().steady_us());
    }
    return true;
  }
  [[nodiscard]] size_t lines() const {
    std::ifstream file(said);
    size_t count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  }
  [[nodiscard]] std::string line(size_t number) const {
    std::ifstream file(said);
    std::string text;
    for (size_t i = 0; i <= number; ++i) std::getline(file, text);
    return text;
  }

  std::filesystem::path said;
  std::unique_ptr<Supervised> process;
};

UnitLimits quick() {
  UnitLimits limits;
  limits.restart_us = 1000;
  limits.stop_us = 5'000'000;
  return limits;
}

}  // namespace

TEST_CASE("a process that ends is started again, one that is not wanted stays away",
          "[supervisor]") {
  Stage stage("note('up'); time.sleep(0.05)\n", quick());
  stage.process->want(true);
  CHECK(stage.until([&] { return stage.lines() >= 3; }));
  stage.process->want(false);
  CHECK(stage.until([&] { return !stage.process->running(); }));
  const size_t count = stage.lines();
  CHECK_FALSE(stage.until([&] { return stage.lines() > count; }, 300));
}

TEST_CASE("the descriptor store: kept over a crash, handed back by name, dropped on request",
          "[supervisor]") {
  Stage stage(
      "names = os.environ.get('LISTEN_FDNAMES', '')\n"
      "own = os.environ.get('LISTEN_PID') == str(os.getpid())\n"
      "if not names:\n"
      "    s = socket.create_server(('127.0.0.1', 0))\n"
      "    note('made %d' % s.getsockname()[1])\n"
      "    say('FDSTORE=1\\nFDNAME=first', s.fileno())\n"
      "    say('FDSTORE=1\\nFDNAME=again', s.fileno())\n"  // kept once, as systemd does
      "    t = socket.create_server(('127.0.0.1', 0))\n"
      "    say('FDSTORE=1\\nFDNAME=second', t.fileno())\n"
      "    r, w = os.pipe()\n"  // hangs up with this process
      "    say('FDSTORE=1\\nFDNAME=pipe', w)\n"
      "    os.abort()\n"
      "s = socket.socket(fileno=3)\n"
      "same = s.getsockname()[1] if names.startswith('first') else 0\n"
      "note('%s %s %s %d' % (names, own, os.environ['LISTEN_FDS'], same))\n"
      "say('FDSTOREREMOVE=1\\nFDNAME=first')\n"
      "os.abort()\n",
      quick());
  stage.process->want(true);
  REQUIRE(stage.until([&] { return stage.lines() >= 3; }));
  const std::string port = stage.line(0).substr(5);
  CHECK(stage.line(1) == "first:second True 2 " + port);
  CHECK(stage.line(2) == "second True 1 0");
}

TEST_CASE("an explicit stop gives up the store, so that a leaving worker sees the end of its pipe",
          "[supervisor]") {
  Stage stage(
      "if os.environ.get('LISTEN_FDNAMES'): note('kept')\n"
      "r, w = os.pipe()\n"
      "say('FDSTORE=1\\nFDNAME=pipe', w)\n"
      "os.close(w)\n"
      "say('READY=1')\n"
      "if os.fork() == 0:\n"  // the worker
      "    os.read(r, 1); note('nobody comes'); os._exit(0)\n"
      "note('up'); time.sleep(600)\n",
      quick());
  stage.process->want(true);
  REQUIRE(stage.until([&] { return stage.lines() >= 1; }));
  CHECK_FALSE(stage.until([&] { return stage.lines() >= 2; }, 200));
  stage.process->want(false);
  CHECK(stage.until([&] { return stage.lines() >= 2; }));
  CHECK(stage.line(1) == "nobody comes");
}

TEST_CASE("silence past the watchdog's limit ends a process; words keep it", "[supervisor]") {
  UnitLimits limits = quick();
  limits.watchdog_us = 1'500'000;
  Stage stage(
      "note('up')\n"
      "for i in range(20):\n"
      "    say('WATCHDOG=1'); time.sleep(0.1)\n"
      "note('spoke'); time.sleep(600)\n",
      limits);
  stage.process->want(true);
  CHECK(stage.until([&] { return stage.lines() >= 3; }));
  CHECK(stage.line(1) == "spoke");
  CHECK(stage.line(2) == "up");
}

TEST_CASE("a process that does not end when told is killed; variables of the unit are unset",
          "[supervisor]") {
  UnitLimits limits = quick();
  limits.stop_us = 200'000;
  limits.unset = {"HTTPS_PROXY"};
  Stage stage(
      "import signal\n"
      "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
      "note(os.environ.get('HTTPS_PROXY', 'unset')); time.sleep(600)\n",
      limits);
  stage.context.environment["HTTPS_PROXY"] = "http://127.0.0.1:1";
  stage.process->want(true);
  REQUIRE(stage.until([&] { return stage.lines() == 1; }));
  CHECK(stage.line(0) == "unset");
  stage.process->want(false);
  CHECK(stage.until([&] { return !stage.process->running(); }));
}
