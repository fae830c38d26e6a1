#include "common/setup/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace hm::setup {
namespace {

constexpr int kFirstDescriptor = 3;  // SD_LISTEN_FDS_START
constexpr int kMaxDescriptors = 64;
// A worker that has not understood SIGTERM by then hangs: its calls are dead already, and its
// successor must not wait for it.
constexpr int64_t kUnderstandMs = 10'000;

constexpr std::array kPassedOn = {SIGTERM, SIGINT, SIGQUIT, SIGABRT};
// Others ask a daemon to reload with them; here they must not end anybody's calls.
constexpr std::array kWithoutMeaning = {SIGHUP, SIGUSR1, SIGUSR2};

int64_t now_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::vector<NamedDescriptor> take_listen_fds() {
  auto kept = parse_listen_fds(std::getenv("LISTEN_PID"), std::getenv("LISTEN_FDS"),
                               std::getenv("LISTEN_FDNAMES"), ::getpid());
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  for (const NamedDescriptor& one : kept) ::fcntl(one.descriptor, F_SETFD, FD_CLOEXEC);
  return kept;
}

// As the worker ended, so that the supervisor decides as if it had been the worker's.
[[noreturn]] void end_like(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    const rlimit no_core{0, 0};  // the worker's is there already, if anybody wanted one
    ::setrlimit(RLIMIT_CORE, &no_core);
    std::signal(number, SIG_DFL);  // NOLINT(cert-err33-c)
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, number);
    ::sigprocmask(SIG_UNBLOCK, &one, nullptr);
    ::kill(::getpid(), number);
    ::_exit(128 + number);
  }
  ::_exit(WEXITSTATUS(status));
}

// From here on system calls only.
[[noreturn]] void be_parent(pid_t worker, int signals, int from_worker) {
  int64_t kill_at_ms = 0;  // 0: no stop was asked for
  std::array<pollfd, 2> sources{pollfd{signals, POLLIN, 0}, pollfd{from_worker, POLLIN, 0}};
  while (true) {
    const int64_t left = kill_at_ms == 0 ? -1 : kill_at_ms - now_ms();
    if (kill_at_ms != 0 && left <= 0) {
      ::kill(worker, SIGKILL);
      kill_at_ms = 0;
      continue;
    }
    if (::poll(sources.data(), sources.size(), static_cast<int>(left)) < 0) continue;
    char word = 0;
    if (sources[1].revents != 0) {
      const ssize_t got = ::read(from_worker, &word, 1);
      if (got == 1) ::_exit(0);          // it leaves, and is on its own from here
      if (got == 0) sources[1].fd = -1;  // it is ending; SIGCHLD tells how
    }
    signalfd_siginfo info{};
    if ((sources[0].revents & POLLIN) == 0 ||
        ::read(signals, &info, sizeof info) != static_cast<ssize_t>(sizeof info))
      continue;
    const int number = static_cast<int>(info.ssi_signo);
    if (number == SIGCHLD) {
      int status = 0;
      if (::waitpid(worker, &status, WNOHANG) == worker) end_like(status);
      continue;
    }
    if (number == SIGABRT) {
      ::kill(worker, SIGKILL);
      continue;
    }
    const bool stop = number == SIGTERM || number == SIGINT;
    if (stop && kill_at_ms == 0) kill_at_ms = now_ms() + kUnderstandMs;
    // What was typed at a terminal came to the worker as well.
    if (info.ssi_code != SI_KERNEL) ::kill(worker, number);
  }
}

// WATCHDOG_PID names the process that was started; who says WATCHDOG=1 is the worker.
void inherit_watchdog(pid_t parent) {
  const char* watched = std::getenv("WATCHDOG_PID");
  if (watched != nullptr && std::strtol(watched, nullptr, 10) == parent)
    ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
}

}  // namespace

int run_worker(bool supervised, const std::function<int(const Inheritance&)>& work) {
  Inheritance given;
  given.kept = take_listen_fds();
  if (!supervised) return work(given);

  std::array<int, 2> lifeline{};
  std::array<int, 2> words{};
  sigset_t passed_on;
  sigset_t before;
  sigemptyset(&passed_on);
  for (const int number : kPassedOn) sigaddset(&passed_on, number);
  sigaddset(&passed_on, SIGCHLD);
  std::signal(SIGCHLD, SIG_DFL);  // NOLINT(cert-err33-c): ignored, it would tell us nothing
  for (const int number : kWithoutMeaning) std::signal(number, SIG_IGN);  // NOLINT(cert-err33-c)
  ::sigprocmask(SIG_BLOCK, &passed_on, &before);
  const int signals = ::signalfd(-1, &passed_on, SFD_CLOEXEC | SFD_NONBLOCK);
  const pid_t self = ::getpid();
  const bool ready = signals >= 0 && ::pipe2(lifeline.data(), O_CLOEXEC) == 0 &&
                     ::pipe2(words.data(), O_CLOEXEC | O_NONBLOCK) == 0;
  std::fflush(nullptr);  // what waits there must not be printed twice
  const pid_t worker = ready ? ::fork() : -1;
  if (worker < 0) {  // no process or descriptor left: better alone than not at all
    std::fprintf(stderr, "halton-meter: no worker process (%s); working alone\n",
                 std::strerror(errno));
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    return work(given);
  }
  if (worker == 0) {
    ::close(signals);
    ::close(lifeline[1]);
    ::close(words[0]);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    inherit_watchdog(self);
    given.parent = lifeline[0];
    given.to_parent = words[1];
    return work(given);
  }
  ::close(lifeline[0]);
  ::close(words[1]);
  // A socket is closed for the world when its last holder closes it; that must be up to the worker.
  for (const NamedDescriptor& one : given.kept) ::close(one.descriptor);
  be_parent(worker, signals, words[0]);
}

std::vector<NamedDescriptor> parse_listen_fds(const char* pid, const char* count, const char* names,
                                              int own_pid) {
  const auto number = [](const char* text) {
    int value = -1;
    if (text == nullptr) return value;
    const char* end = text + std::strlen(text);
    const auto parsed = std::from_chars(text, end, value);
    return parsed.ec == std::errc() && parsed.ptr == end ? value : -1;
  };
  const int many = number(count);
  if (number(pid) != own_pid || many <= 0 || many > kMaxDescriptors) return {};
  std::vector<NamedDescriptor> kept;
  std::string_view rest = names == nullptr ? "" : names;
  for (int i = 0; i < many; ++i) {
    const size_t end = rest.find(':');
    kept.push_back({std::string(rest.substr(0, end)), kFirstDescriptor + i});
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return kept;
}

}  // namespace hm::setup
