#include "cli/child_process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

namespace hm::cli {
namespace {

constexpr std::array kEnding = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Between fork and exec: nothing that allocates or locks.
[[noreturn]] void become(const char* program, char* const* argv, char* const* envp,
                         const ProcessPlan& plan, const sigset_t& mask) {
  for (const int fd : plan.inherit) ::fcntl(fd, F_SETFD, 0);
  if (plan.background) {
    ::setsid();
    const int nothing = ::open("/dev/null", O_RDWR);
    if (nothing >= 0) {
      for (int fd = 0; fd <= 2; ++fd) ::dup2(nothing, fd);
      if (nothing > 2) ::close(nothing);
    }
    // A pair outlives the terminal and what is typed there.
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
  } else {
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  }
  ::execvpe(program, argv, envp);
  ::_exit(errno == ENOENT ? 127 : 126);
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

SignalLine::SignalLine() {
  sigemptyset(&watched_);
  for (const int number : kEnding) {
    struct sigaction action{};
    ::sigaction(number, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&watched_, number);
  }
  // An ignored SIGCHLD would take the children's exit codes away.
  struct sigaction usual{};
  usual.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &usual, nullptr);
  sigaddset(&watched_, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &watched_, &before_);
}

SignalLine::~SignalLine() {
  // What is still in line came for a command that has ended.
  while (next(0)) {
  }
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<SignalLine::Arrival> SignalLine::next(int64_t timeout_ms) {
  const int64_t end_us = system_clock().steady_us() + timeout_ms * 1000;
  while (true) {
    siginfo_t info{};
    int number = -1;
    if (timeout_ms < 0) {
      number = ::sigwaitinfo(&watched_, &info);
    } else {
      const int64_t left = std::max<int64_t>(0, end_us - system_clock().steady_us());
      const timespec limit{left / 1'000'000, (left % 1'000'000) * 1000};
      number = ::sigtimedwait(&watched_, &info, &limit);
    }
    if (number > 0) return Arrival{number, info.si_code == SI_KERNEL};
    if (errno != EINTR) return std::nullopt;
  }
}

std::expected<std::filesystem::path, int> find_program(const std::string& name,
                                                       std::string_view search_path) {
  const auto verdict = [](const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return errno == EACCES ? 126 : 127;
    return S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0 ? 0 : 126;
  };
  if (name.empty()) return std::unexpected(127);
  if (name.find('/') != std::string::npos) {
    if (const int code = verdict(name); code != 0) return std::unexpected(code);
    return name;
  }
  int worst = 127;
  if (search_path.empty()) search_path = "/usr/local/bin:/usr/bin:/bin";
  while (true) {
    const size_t colon = search_path.find(':');
    const std::string_view folder = search_path.substr(0, colon);
    const std::string path = (folder.empty() ? "." : std::string(folder)) + "/" + name;
    const int code = verdict(path);
    if (code == 0) return path;
    if (code == 126) worst = 126;
    if (colon == std::string_view::npos) return std::unexpected(worst);
    search_path.remove_prefix(colon + 1);
  }
}

Result<pid_t> start_process(const ProcessPlan& plan, const SignalLine& signals) {
  const std::string program = plan.program.string();
  std::vector<std::string> words = plan.words;
  std::vector<std::string> settings;
  settings.reserve(plan.environment.size());
  for (const auto& [name, value] : plan.environment) settings.push_back(name + "=" + value);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(settings);

  const pid_t child = ::fork();
  if (child < 0) return fail(Code::exhausted, "child_process.fork", errno);
  if (child == 0) become(program.c_str(), argv.data(), envp.data(), plan, signals.before());
  return child;
}

std::optional<int> has_ended(pid_t child) {
  int status = 0;
  const pid_t got = ::waitpid(child, &status, WNOHANG);
  if (got == child) return code_of(status);
  if (got < 0 && errno == ECHILD) return 0;  // collected before
  return std::nullopt;
}

int wait_in_foreground(pid_t child, SignalLine& signals) {
  while (true) {
    if (const auto code = has_ended(child)) return *code;
    const auto arrival = signals.next(-1);
    if (!arrival || arrival->number == SIGCHLD || arrival->from_terminal) continue;
    ::kill(child, arrival->number);
  }
}

}  // namespace hm::cli
