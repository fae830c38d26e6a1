#include "cli/supervised.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <limits>

#include "cli/subprocess.h"
#include "common/base/log.h"

namespace hm::cli {
namespace {

constexpr int kFirstPassed = 3;  // sd_listen_fds(3)
constexpr size_t kMaxStored = 64;
constexpr int64_t kSoonUs = 10'000'000;
constexpr int64_t kLongestPauseUs = 30'000'000;

int64_t duration_us(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return 0;
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (unit == "ms") return number * 1000;
  if (unit == "min") return number * 60'000'000;
  return number * 1'000'000;
}

void add_words(const std::string& text, std::vector<std::string>& words) {
  for (size_t at = 0; at < text.size();) {
    const size_t space = std::min(text.find(' ', at), text.size());
    if (space > at) words.push_back(text.substr(at, space - at));
    at = space + 1;
  }
}

}  // namespace

UnitLimits limits_of_unit(std::string_view text) {
  UnitLimits limits;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, equals);
    const std::string value = trimmed(line.substr(equals + 1));
    if (key == "RestartSec") limits.restart_us = duration_us(value);
    if (key == "WatchdogSec") limits.watchdog_us = duration_us(value);
    if (key == "TimeoutStopSec") limits.stop_us = duration_us(value);
    if (key == "UnsetEnvironment") add_words(value, limits.unset);
    if (key == "ExecStart" && value.find(' ') != std::string::npos)
      add_words(value.substr(value.find(' ')), limits.arguments);
  }
  return limits;
}

Supervised::Supervised(std::string name, std::filesystem::path program, UnitLimits limits,
                       std::filesystem::path notify_socket)
    : name_(std::move(name)),
      program_(std::move(program)),
      limits_(std::move(limits)),
      notify_path_(std::move(notify_socket)) {}

Supervised::~Supervised() {
  if (notify_.valid()) ::unlink(notify_path_.c_str());
}

bool Supervised::listen() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (notify_path_.native().size() >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return false;
  }
  std::memcpy(address.sun_path, notify_path_.c_str(), notify_path_.native().size());
  ::unlink(notify_path_.c_str());
  Descriptor fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  if (!fd.valid() || ::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return false;
  notify_ = std::move(fd);
  return true;
}

// --- what it says -------------------------------------------------------------------------------

void Supervised::hear(std::string_view line, Words& words) {
  const auto equals = std::ranges::find(line, '=');
  const std::string_view key(line.begin(), equals);
  const std::string_view value(equals == line.end() ? equals : equals + 1, line.end());
  if (key == "FDSTORE") words.stores = value == "1";
  if (key == "FDSTOREREMOVE") words.removes = value == "1";
  if (key == "FDNAME") words.fd_name = value;
  if (key == "READY") words.ready = value == "1";
}

void Supervised::store(const std::string& name, Descriptor fd) {
  // Words that arrive after an explicit stop: nobody will come for it.
  if (!wanted_ && !running()) return;
  struct stat mine{};
  ::fstat(fd.get(), &mine);
  const bool known = std::ranges::any_of(store_, [&](const auto& entry) {
    struct stat other{};
    return ::fstat(entry.second.get(), &other) == 0 && other.st_ino == mine.st_ino &&
           other.st_dev == mine.st_dev;
  });
  if (!known && store_.size() < kMaxStored) store_.emplace_back(name, std::move(fd));
}

// One datagram of sd_notify(3): control messages, lines, and what follows from them.
// NOLINTNEXTLINE(readability-function-cognitive-complexity)
void Supervised::read_words() {
  heard_us_ = system_clock().steady_us();
  while (true) {
    std::array<char, 4096> text;
    alignas(cmsghdr)
        std::array<char, CMSG_SPACE(kMaxStored * sizeof(int)) + CMSG_SPACE(sizeof(ucred))>
            control{};
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(notify_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 || static_cast<size_t>(got) > text.size()) return;
    std::vector<Descriptor> came;
    ucred sender{};
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
         head = CMSG_NXTHDR(&message, head)) {
      if (head->cmsg_level != SOL_SOCKET) continue;
      if (head->cmsg_type == SCM_CREDENTIALS) std::memcpy(&sender, CMSG_DATA(head), sizeof sender);
      if (head->cmsg_type != SCM_RIGHTS) continue;
      const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
        came.emplace_back(fd);
      }
    }
    Words words;
    std::string_view rest(text.data(), static_cast<size_t>(got));
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      hear(rest.substr(0, end), words);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (words.removes)
      std::erase_if(store_, [&](const auto& entry) { return entry.first == words.fd_name; });
    if (words.stores)
      for (Descriptor& fd : came) store(words.fd_name, std::move(fd));
    if (!words.ready) continue;
    failures_ = 0;
    log::info("supervisor.ready").with("process", name_).with("pid", sender.pid);
    if (sender.pid > 1 && sender.pid != pid_) workers_.push_back(sender.pid);
  }
}

void Supervised::watch_store(std::vector<pollfd>& sources) const {
  for (const auto& [name, fd] : store_) sources.push_back({fd.get(), 0, 0});
}

void Supervised::drop_hung_up() {
  std::erase_if(store_, [](const auto& entry) {
    pollfd source{entry.second.get(), 0, 0};
    return ::poll(&source, 1, 0) == 1;
  });
}

// --- its life -----------------------------------------------------------------------------------

void Supervised::want(bool wanted) {
  wanted_ = wanted;
  if (wanted) failures_ = 0;
  if (!wanted && running()) terminate(system_clock().steady_us());
  if (!wanted && !running()) store_.clear();
  if (wanted && !running()) start_after_us_ = 0;
}

void Supervised::restart() {
  wanted_ = true;
  failures_ = 0;
  at_once_ = true;
  if (running()) {
    terminate(system_clock().steady_us());
  } else {
    start_after_us_ = 0;
  }
}

void Supervised::terminate(int64_t now_us) {
  if (stopping_) return;
  stopping_ = true;
  stop_by_us_ = now_us + limits_.stop_us;
  ::kill(pid_, SIGTERM);
}

void Supervised::step(int64_t now_us, const Environment& environment) {
  if (!running()) {
    if (wanted_ && now_us >= start_after_us_) launch(now_us, environment);
    return;
  }
  if (stopping_ && now_us >= stop_by_us_) {
    log::warn("supervisor.killed").with("process", name_).with("pid", pid_);
    ::kill(pid_, SIGKILL);
    stop_by_us_ = now_us + 1'000'000;
  } else if (!stopping_ && limits_.watchdog_us > 0 && now_us - heard_us_ > limits_.watchdog_us) {
    log::error("supervisor.watchdog").with("process", name_).with("pid", pid_);
    ::kill(pid_, SIGABRT);
    heard_us_ = now_us;  // once more after as long
  }
}

int64_t Supervised::next_step_us() const {
  if (!running()) return wanted_ ? start_after_us_ : std::numeric_limits<int64_t>::max();
  if (stopping_) return stop_by_us_;
  return limits_.watchdog_us > 0 ? heard_us_ + limits_.watchdog_us + 1000
                                 : std::numeric_limits<int64_t>::max();
}

void Supervised::hurry() {
  for (const pid_t worker : workers_) ::kill(worker, SIGTERM);
}

bool Supervised::on_exit(pid_t pid, int status, int64_t now_us) {
  if (pid != pid_) return std::erase(workers_, pid) > 0;
  pid_ = 0;
  // A worker that ended before its parent was the parent's to collect.
  std::erase_if(workers_, [](pid_t worker) { return ::kill(worker, 0) != 0; });
  if (!wanted_) store_.clear();
  const bool planned = stopping_;
  stopping_ = false;
  log::info("supervisor.ended")
      .with("process", name_)
      .with("pid", pid)
      .with("planned", planned)
      .with("code", WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  // Never given up on; a process that keeps ending at its start is tried less and less often.
  failures_ = now_us - started_us_ < kSoonUs ? failures_ + 1 : 0;
  int64_t pause_us = limits_.restart_us << std::clamp(failures_ - 4, 0, 10);
  if (at_once_) pause_us = 0;
  at_once_ = false;
  start_after_us_ = now_us + std::min(pause_us, kLongestPauseUs);
  return true;
}

void Supervised::launch(int64_t now_us, const Environment& environment) {
  Environment own = environment;
  for (const std::string& name : limits_.unset) own.erase(name);
  own["NOTIFY_SOCKET"] = notify_path_.string();
  if (limits_.watchdog_us > 0) own["WATCHDOG_USEC"] = std::to_string(limits_.watchdog_us);
  for (const char* name : {"WATCHDOG_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"})
    own.erase(name);
  if (!store_.empty()) {
    std::string names;
    for (const auto& [name, fd] : store_) {
      if (!names.empty()) names += ':';
      names += name;
    }
    own["LISTEN_FDS"] = std::to_string(store_.size());
    own["LISTEN_FDNAMES"] = names;
    own["LISTEN_PID"] = "0000000000";  // only the child knows it
  }
  std::vector<std::string> settings;
  for (const auto& [name, value] : own) settings.push_back(name + "=" + value);
  char* own_pid = nullptr;
  std::vector<char*> envp;
  for (std::string& setting : settings) {
    envp.push_back(setting.data());
    if (setting.starts_with("LISTEN_PID=")) own_pid = setting.data() + 11;
  }
  envp.push_back(nullptr);
  std::string program = program_.string();
  std::vector<std::string> arguments = limits_.arguments;
  std::vector<char*> argv{program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  // Out of the way of the numbers that they are passed under.
  std::vector<Descriptor> high;
  high.reserve(store_.size());
  for (const auto& [name, fd] : store_)
    high.emplace_back(
        ::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstPassed + 2 * static_cast<int>(kMaxStored)));

  const pid_t child = ::fork();
  if (child == 0) {  // until the exec nothing that allocates or locks: there is a log thread
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::setsid();  // Ctrl-C is for the supervisor, which knows the order
    for (size_t i = 0; i < high.size(); ++i)
      ::dup2(high[i].get(), kFirstPassed + static_cast<int>(i));
    if (own_pid != nullptr) std::snprintf(own_pid, 11, "%d", static_cast<int>(::getpid()));
    ::execve(program.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  started_us_ = heard_us_ = now_us;
  if (child < 0) {
    start_after_us_ = now_us + limits_.restart_us;
    return;
  }
  pid_ = child;
  log::info("supervisor.started").with("process", name_).with("pid", child);
}

}  // namespace hm::cli
