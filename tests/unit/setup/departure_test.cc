// Leaving: when does a worker stop accepting, and what does it tell whom?
#include "common/setup/departure.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "common/net/control_socket.h"
#include "tests/unit/setup/manager.h"

namespace hm::setup::test {
namespace {

using net::test::run_for;
using net::test::run_until;

// A worker's end of the pipes, and the parent's in the test's hands.
struct Birth {
  Birth() {
    int alive[2];
    int words[2];
    REQUIRE(::pipe2(alive, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(words, O_CLOEXEC | O_NONBLOCK) == 0);
    given.parent = alive[0];
    parent = Fd(alive[1]);
    given.to_parent = words[1];
    heard = Fd(words[0]);
  }
  [[nodiscard]] std::string words() const {
    char text[8];
    const ssize_t got = ::read(heard.get(), text, sizeof text);
    return got > 0 ? std::string(text, static_cast<size_t>(got)) : std::string();
  }
  Inheritance given;
  Fd parent;
  Fd heard;
};

struct Leaver {
  explicit Leaver(const Inheritance& given, const Departure::Waits& waits = {})
      : departure(loop, given, [this](bool relieved) { stood_down = relieved; }, waits) {
    departure.start();
  }
  net::Loop loop;
  std::optional<bool> stood_down;
  Departure departure;
};

}  // namespace

TEST_CASE("without a parent leaving is standing down") {
  Leaver leaver{Inheritance{}};
  CHECK_FALSE(leaver.departure.relieve());
  leaver.departure.leave();
  CHECK(leaver.stood_down == false);
  leaver.departure.leave();
  CHECK(leaver.departure.leaving());
}

TEST_CASE("a planned stop: the parent goes, the worker serves on until it is relieved") {
  Manager manager;
  Birth birth;
  Leaver leaver(birth.given);
  Word watch = manager.hear();
  CHECK(watch.text == "FDSTORE=1\nFDNAME=watch-" + std::to_string(::getpid()));
  CHECK_FALSE(leaver.departure.relieve());  // not before we leave
  leaver.departure.leave();
  CHECK(manager.hear().text == "STOPPING=1");
  CHECK_FALSE(notify::available());  // whatever comes now is the successor's to say
  CHECK(birth.words() == "l");
  birth.parent.close();
  run_for(leaver.loop, 50);
  CHECK_FALSE(leaver.stood_down.has_value());
  CHECK(leaver.departure.relieve());
  CHECK(leaver.stood_down == true);
  CHECK(leaver.departure.relieved());
  watch.descriptor.close();  // too late to matter
  run_for(leaver.loop, 20);
  CHECK(leaver.stood_down == true);
}

TEST_CASE("an explicit stop: the store is given up, so nobody comes") {
  Manager manager;
  Birth birth;
  Leaver leaver(birth.given);
  Word watch = manager.hear();
  leaver.departure.leave();
  run_for(leaver.loop, 30);
  CHECK_FALSE(leaver.stood_down.has_value());
  watch.descriptor.close();
  REQUIRE(run_until(leaver.loop, [&] { return leaver.stood_down.has_value(); }));
  CHECK(leaver.stood_down == false);
}

TEST_CASE("no successor gets as far as serving: serves on as long as one is wanted") {
  Manager manager;
  Birth birth;
  Leaver leaver(birth.given, {.look_again_ms = 10, .without_store_ms = 10});
  Word watch = manager.hear();
  leaver.departure.leave();
  run_for(leaver.loop, 100);
  CHECK_FALSE(leaver.stood_down.has_value());
  watch.descriptor.close();
  REQUIRE(run_until(leaver.loop, [&] { return leaver.stood_down.has_value(); }));
}

TEST_CASE("nothing is kept and nobody comes: the wait is short") {
  Birth birth;  // no supervisor to keep anything
  Leaver leaver(birth.given, {.look_again_ms = 10, .without_store_ms = 10});
  leaver.departure.leave();
  REQUIRE(run_until(leaver.loop, [&] { return leaver.stood_down.has_value(); }));
}

TEST_CASE("the parent dies: as a planned stop, but not a word to the supervisor") {
  Manager manager;
  Birth birth;
  Leaver leaver(birth.given);
  const Word watch = manager.hear();
  birth.parent.close();
  REQUIRE(run_until(leaver.loop, [&] { return leaver.departure.leaving(); }));
  CHECK(manager.hear().text.empty());
  CHECK_FALSE(leaver.stood_down.has_value());
}

TEST_CASE("a supervisor that keeps nothing: serves on for a while all the same") {
  Manager manager;
  Birth birth;
  Leaver leaver(birth.given);
  manager.hear().descriptor.close();
  run_for(leaver.loop, 30);
  leaver.departure.leave();
  run_for(leaver.loop, 50);
  CHECK_FALSE(leaver.stood_down.has_value());
  CHECK(leaver.departure.relieve());
}

TEST_CASE("a successor asks at the control socket") {
  Manager manager;
  const auto path = manager.folder / "c.sock";
  CHECK_FALSE(Departure::take_over(path));  // nobody there
  const pid_t old = ::fork();
  REQUIRE(old >= 0);
  if (old == 0) {
    net::Loop loop;
    net::ControlServer server(loop, [&](std::string_view line) {
      net::Loop* one = &loop;
      loop.post([one] { one->stop(); });
      return std::string(line == "hm/1 relieve" ? "protocol=1\nok=1\n" : "error=what\n");
    });
    if (!server.listen(path)) ::_exit(9);
    loop.run();
    ::_exit(0);
  }
  bool relieved = false;
  for (int i = 0; i < 400 && !relieved; ++i) {
    relieved = Departure::take_over(path);
    if (!relieved) ::usleep(10'000);
  }
  CHECK(relieved);
  ::waitpid(old, nullptr, 0);
}

}  // namespace hm::setup::test
