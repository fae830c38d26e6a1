// Real sockets and real processes: a child connects, and must be found by its port.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>

#include "common/base/counters.h"
#include "common/base/fs.h"
#include "common/base/process_stat.h"
#include "common/net/loop.h"
#include "common/net/work.h"
#include "interceptor/attribution/attributor.h"
#include "interceptor/attribution/client_facts.h"
#include "interceptor/attribution/socket_owner.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/net/net_support.h"

namespace hm::attribution {
namespace {

using hm::test::TempFolder;

class Listener {
 public:
  explicit Listener(int family = AF_INET)
      : family_(family), fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (family == AF_INET) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      usable_ = ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    } else {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_addr = in6addr_loopback;
      usable_ = ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    usable_ = usable_ && ::listen(fd_, 16) == 0;
  }
  ~Listener() { ::close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] uint16_t port() const {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    return port_in(address);
  }
  // The accepted socket, and the port of the other end.
  [[nodiscard]] int accept(uint16_t& client_port) const {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&address), &length, SOCK_CLOEXEC);
    client_port = port_in(address);
    return fd;
  }
  // Only what is safe between fork and exec.
  [[nodiscard]] int connect_to(uint16_t target, const char* from = nullptr) const {
    const int fd = ::socket(family_, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (family_ == AF_INET6) {
      sockaddr_in6 address{};
      address.sin6_family = AF_INET6;
      address.sin6_addr = in6addr_loopback;
      address.sin6_port = htons(target);
      (void)::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
      return fd;
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (from != nullptr) {
      ::inet_pton(AF_INET, from, &address.sin_addr);
      (void)::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(target);
    (void)::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    return fd;
  }

 private:
  static uint16_t port_in(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET)
      return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }
  int family_;
  int fd_;
  bool usable_ = false;
};

// A process in `folder` that connects and stays until it is destroyed.
class Child {
 public:
  Child(const Listener& listener, const std::filesystem::path& folder) {
    const uint16_t target = listener.port();
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::chdir(folder.c_str()) != 0) ::_exit(1);
      (void)listener.connect_to(target);
      ::alarm(60);
      while (true) ::pause();
    }
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

constexpr auto kBudget = std::chrono::seconds(10);

TEST_CASE("a connecting child is found, with its facts") {
  const TempFolder dir;
  REQUIRE(ensure_dir(dir.path() / "My Shop" / ".git"));
  REQUIRE(ensure_dir(dir.path() / "My Shop" / "src"));
  REQUIRE(replace_file(dir.path() / "My Shop" / ".git" / "HEAD", "ref: refs/heads/dev\n"));
  const Listener listener;
  REQUIRE(listener.usable());
  const Child child(listener, dir.path() / "My Shop" / "src");
  uint16_t client_port = 0;
  const int accepted = listener.accept(client_port);
  REQUIRE(accepted >= 0);

  SocketOwner owners;
  for (int i = 0; i < 2; ++i) {  // the second from memory
    const auto owner = owners.find(client_port, listener.port(), kBudget);
    REQUIRE(owner);
    CHECK(owner->pid == child.pid());
    CHECK(owner->uid == ::geteuid());
    CHECK(owner->start_time == read_process_stat(child.pid())->start_time);
  }
  CHECK(owners.find(client_port, 1, kBudget).error().code == Code::not_found);

  const auto facts = read_client_facts(child.pid());
  REQUIRE(facts);
  CHECK(facts->cwd == (dir.path() / "My Shop" / "src").string());
  CHECK(facts->parent_pid == ::getpid());
  CHECK(facts->name == "unit_attribution");

  net::Loop loop;
  Attributor attributor(loop, {"misc", dir.path()});
  int answers = 0;
  for (int i = 0; i < 5; ++i)
    attributor.look_up(client_port, listener.port(), [&](Attribution found) {
      ++answers;
      CHECK(found.project == "my-shop");
      CHECK(found.tier == "git");
      CHECK(found.git_branch == "dev");
      CHECK(found.client_pid == child.pid());
      CHECK(found.client_name == "unit_attribution");
    });
  CHECK(answers == 0);
  loop.run();
  CHECK(answers == 5);
  CHECK(attributor.under_way() == 0);
  ::close(accepted);
}

TEST_CASE("both ways to the socket agree") {
  const int family = GENERATE(AF_INET, AF_INET6);
  const char* from = GENERATE(static_cast<const char*>(nullptr), "127.0.0.3");
  const Listener listener(family);
  if (!listener.usable()) return;  // no IPv6 here
  const int client = listener.connect_to(listener.port(), from);
  uint16_t client_port = 0;
  const int accepted = listener.accept(client_port);
  const auto in_proc = find_socket_in_proc(client_port, listener.port());
  REQUIRE(in_proc);
  CHECK(in_proc->uid == ::geteuid());
  const auto by_netlink = find_socket_by_netlink(client_port, listener.port());
  if (by_netlink || by_netlink.error().code == Code::not_found) {
    if (family == AF_INET || from == nullptr) REQUIRE(by_netlink);
    CHECK(by_netlink->inode == in_proc->inode);
    CHECK(by_netlink->uid == in_proc->uid);
  } else {
    WARN("no sock_diag here");
  }
  SocketOwner owners;
  CHECK(owners.find(client_port, listener.port(), kBudget)->pid == ::getpid());
  // The accepted end is another socket, seen with the ports the other way round.
  CHECK(find_socket(listener.port(), client_port)->inode != in_proc->inode);
  ::close(client);
  ::close(accepted);
}

TEST_CASE("of the environment two names are kept") {
  const TempFolder dir;
  std::array<int, 2> ready{};
  REQUIRE(::pipe(ready.data()) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(ready[1], 1);
    ::execle("/bin/sh", "sh", "-c", "echo; sleep 60", static_cast<char*>(nullptr),
             std::array<const char*, 5>{"SECRET_KEY=hunter2", "HALTON_PROJECT=From Env",
                                        "XHALTON_METER_RUN=no", "HALTON_METER_RUN=run-7", nullptr}
                 .data());
    ::_exit(1);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const auto facts = read_client_facts(pid);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  REQUIRE(facts);
  CHECK(facts->project == "From Env");
  CHECK(facts->run_id == "run-7");
  CHECK(facts->name == "sh");
  CHECK_FALSE(read_client_facts(pid));
  CHECK_FALSE(read_process_stat(pid));
}

TEST_CASE("a client's disk that hangs: its row is nobody's after two seconds, and nothing waits") {
  net::Loop loop;
  static std::mutex hung;  // the threads may outlive this
  static std::atomic<int> begun = 0;
  hung.lock();
  const int64_t late = counters::get("attribution.late").value();
  constexpr int kCount = static_cast<int>(LookupThreads::kMost) + 3;
  int answers = 0;
  {
    Attributor attributor(loop, {"house", {}}, [](uint16_t port, uint16_t) {
      ++begun;
      if (port == 1) {
        const std::lock_guard wait(hung);
      }
      Attribution found;
      found.project = "found";
      return found;
    });
    attributor.look_up(2, 1, [&](const Attribution& found) { CHECK(found.project == "found"); });
    for (int i = 0; i < kCount; ++i)
      attributor.look_up(1, 1, [&](const Attribution& found) {
        ++answers;
        CHECK(found.project == "house");
        CHECK(found.client_pid == 0);
      });
    net::Work pool(loop);  // as name service, the disk, and others use it
    bool served = false;
    pool.start<int>([] { return 1; }, [&](int) { served = true; });
    REQUIRE(net::test::run_until(loop, [&] { return served; }));
    CHECK(answers == 0);
    REQUIRE(net::test::run_until(loop, [&] { return answers == kCount; }, 30'000));
    CHECK(counters::get("attribution.late").value() == late + kCount);
    CHECK(begun <= static_cast<int>(LookupThreads::kMost) + 1);  // the rest was never begun
    // Free again: others are found.
    hung.unlock();
    bool again = false;
    attributor.look_up(2, 1, [&](const Attribution& found) { again = found.project == "found"; });
    REQUIRE(net::test::run_until(loop, [&] { return again; }, 30'000));
    CHECK(answers == kCount);
  }
}

TEST_CASE("too many lookups, unknown ports and a dying owner") {
  net::Loop loop;
  const int64_t skipped = counters::get("attribution.skipped").value();
  const int64_t failed = counters::get("attribution.failed").value();
  int answers = 0;
  SECTION("the cap answers at once") {
    Attributor attributor(loop, {"house", {}});
    for (size_t i = 0; i < Attributor::kMaxLookups + 3; ++i)
      attributor.look_up(1, 1, [&](Attribution found) {
        ++answers;
        CHECK(found.project == "house");
        CHECK(found.client_pid == 0);
      });
    CHECK(answers == 3);
    CHECK(counters::get("attribution.skipped").value() == skipped + 3);
    loop.run();
    CHECK(answers == static_cast<int>(Attributor::kMaxLookups) + 3);
    CHECK(counters::get("attribution.failed").value() ==
          failed + static_cast<int64_t>(Attributor::kMaxLookups));
  }
  SECTION("nobody is called after the end") {
    auto attributor = std::make_unique<Attributor>(loop, TagConfig{});
    for (int i = 0; i < 8; ++i) attributor->look_up(1, 1, [&](const Attribution&) { ++answers; });
    attributor.reset();
    loop.run();
    CHECK(answers == 0);
  }
  SECTION("the last callback may drop it") {
    auto attributor = std::make_unique<Attributor>(loop, TagConfig{});
    attributor->look_up(1, 1, [&](const Attribution&) {
      ++answers;
      attributor.reset();
    });
    loop.run();
    CHECK(answers == 1);
  }
}

TEST_CASE("stat lines are read whatever the command is called") {
  const std::string tail =
      " S 77 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 20 18446744073709551615\n";
  const std::string command = GENERATE("sh", "a b", "x) S 1 (y", "", ")(");
  const auto stat = parse_process_stat("12 (" + command + ")" + tail);
  REQUIRE(stat);
  CHECK(stat->command == command);
  CHECK(stat->parent_pid == 77);
  CHECK(stat->start_time == 987654);
  const std::string bad = GENERATE("", "12", "12 (sh", "12 (sh) S", "12 (sh) S x 1", ")(");
  CHECK_FALSE(parse_process_stat(bad));
}

TEST_CASE("programs have names") {
  struct Row {
    std::string command, argument, name;
  };
  const Row row = GENERATE(
      values<Row>({{"sh", "/bin/sh", "sh"},
                   {"bash", "-bash", "bash"},
                   {"MainThread", "/usr/bin/node", "node"},
                   {"node-MainThread", "node", "node"},
                   {"claude", "claude", "claude"},
                   {"claude", "node", "claude"},
                   {"a-very-long-nam", "/x/a-very-long-name-indeed", "a-very-long-name-indeed"},
                   {"gemini", "gemini --key=secret", "gemini"},
                   {"kworker", "", "kworker"},
                   {"", "", ""},
                   {"bad\x01name", "", "badname"}}));
  CAPTURE(row.command, row.argument);
  CHECK(program_name(row.command, row.argument) == row.name);
}

}  // namespace
}  // namespace hm::attribution
