#include "cli/control_client.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <thread>

#include "cli/pair_state.h"
#include "common/base/descriptor.h"
#include "tests/unit/cli/cli_fixture.h"

using namespace hm::cli;
using hm::Descriptor;

namespace {

// Answers one connection after another on a unix socket, each in the same way.
class Answerer {
 public:
  Answerer(const std::filesystem::path& path, std::function<void(int fd)> answer)
      : path_(path), listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.native().size());
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    REQUIRE(::listen(listener_.get(), 8) == 0);
    thread_ = std::thread([this, answer = std::move(answer)] {
      while (true) {
        const Descriptor fd(::accept(listener_.get(), nullptr, nullptr));
        if (!fd.valid()) return;
        answer(fd.get());
      }
    });
  }
  ~Answerer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

 private:
  std::filesystem::path path_;
  Descriptor listener_;
  std::thread thread_;
};

std::string read_line(int fd) {
  std::string line;
  char c = 0;
  while (::read(fd, &c, 1) == 1 && c != '\n') line.push_back(c);
  return line;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (wrote <= 0) return;
    text.remove_prefix(static_cast<size_t>(wrote));
  }
}

}  // namespace

TEST_CASE_METHOD(CliFixture, "a control request is one line out and everything in") {
  const auto path = folder / "a.sock";
  const Answerer answerer(path, [](int fd) {
    const std::string line = read_line(fd);
    write_all(fd, "asked=" + line + "\n");
    ::usleep(10'000);
    write_all(fd, "second=2\n");
  });
  const auto answer = ask_control(path, "status", 5000);
  REQUIRE(answer);
  CHECK(*answer == "asked=hm/1 status\nsecond=2\n");
  CHECK(answers_ping(path, 5000));
  const auto status = StatusAnswer::ask(path, 5000);
  REQUIRE(status);
  CHECK(status->number("second") == 2);
  CHECK_FALSE(status->number("asked"));
  CHECK(status->text("absent").empty());
}

TEST_CASE_METHOD(CliFixture, "a control request never waits for ever and never grows without end") {
  CHECK(ask_control(folder / "none.sock", "ping", 1000).error().code == hm::Code::not_found);
  CHECK(ask_control(folder / std::string(120, 'x'), "ping", 1000).error().code ==
        hm::Code::too_large);
  {
    const auto path = folder / "silent.sock";
    const Answerer answerer(path, [](int fd) {
      read_line(fd);
      char c = 0;
      [[maybe_unused]] const ssize_t end = ::read(fd, &c, 1);  // until the asker goes
    });
    CHECK(ask_control(path, "ping", 100).error().code == hm::Code::timeout);
  }
  {
    const auto path = folder / "loud.sock";
    const Answerer answerer(path, [](int fd) {
      read_line(fd);
      write_all(fd, std::string(100'000, 'x'));
    });
    CHECK(ask_control(path, "ping", 5000, 4096).error().code == hm::Code::too_large);
  }
  const auto empty = folder / "empty.sock";
  {
    const Answerer answerer(empty, [](int fd) { read_line(fd); });
    CHECK(ask_control(empty, "ping", 5000).error().code == hm::Code::closed);
  }
  CHECK(ask_control(empty, "ping", 1000).error().code == hm::Code::refused);  // left over
  CHECK_FALSE(port_accepts(0, 100));
}
