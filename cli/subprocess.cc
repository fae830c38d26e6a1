#include "cli/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "cli/child_process.h"
#include "common/base/descriptor.h"

namespace hm::cli {
namespace {

constexpr size_t kMaxOutput = 1024 * 1024;

struct Pipe {
  Descriptor reading;
  Descriptor writing;
};

bool make(Pipe& pipe) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  pipe.reading = Descriptor(ends[0]);
  pipe.writing = Descriptor(ends[1]);
  return true;
}

// False at its end.
bool drain(const Descriptor& from, std::string& into) {
  std::array<char, 16 * 1024> buffer;
  const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return true;
  if (got <= 0) return false;
  const size_t room = kMaxOutput - std::min(into.size(), kMaxOutput);
  into.append(buffer.data(), std::min(static_cast<size_t>(got), room));
  return true;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return {};
  return std::string(text.substr(from, text.find_last_not_of(kSpace) - from + 1));
}

Finished run_captured(const std::vector<std::string>& words, const Environment& environment,
                      int64_t limit_ms) {
  Finished told;
  Pipe out;
  Pipe err;
  if (words.empty() || !make(out) || !make(err)) return told;
  const auto program = find_program(words[0], look_up(environment, "PATH"));
  if (!program) {
    told.code = program.error();
    return told;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out.writing.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, err.writing.get(), STDERR_FILENO);
  std::vector<std::string> arguments = words;
  std::vector<std::string> settings;
  for (const auto& [name, value] : environment) settings.push_back(name + "=" + value);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, program->c_str(), &actions, nullptr,
                                   pointers(arguments).data(), pointers(settings).data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return told;
  out.writing.reset();
  err.writing.reset();

  const int64_t end_us = system_clock().steady_us() + limit_ms * 1000;
  std::array<pollfd, 2> ends{pollfd{out.reading.get(), POLLIN, 0},
                             pollfd{err.reading.get(), POLLIN, 0}};
  while (ends[0].fd >= 0 || ends[1].fd >= 0) {
    const int64_t left_ms = (end_us - system_clock().steady_us()) / 1000;
    if (left_ms <= 0) {
      told.timed_out = true;
      ::kill(child, SIGKILL);
      break;
    }
    if (::poll(ends.data(), ends.size(), static_cast<int>(std::min<int64_t>(left_ms, 60'000))) < 0)
      continue;
    if (ends[0].revents != 0 && !drain(out.reading, told.out)) ends[0].fd = -1;
    if (ends[1].revents != 0 && !drain(err.reading, told.err)) ends[1].fd = -1;
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  told.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return told;
}

}  // namespace hm::cli
